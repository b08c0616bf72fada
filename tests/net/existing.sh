#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# Interfaces that exist: a user without any capability attaches to his persistent TAP, whose
# carrier does not flap; --persist leaves one behind, for the next start. On pair.sh's
# laboratory, whose end a is made beforehand.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/record.sh"
need_root
need setpriv util-linux
need python3 python3

uid=65534
nobody=(setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all --bounding-set=-all)
"${nobody[@]}" test -r /dev/net/tun -a -w /dev/net/tun || skip "only root may open /dev/net/tun"
chmod 755 "$TMP"

# start_as_nobody NAME ARGUMENT…
start_as_nobody() {
  local name=$1
  shift
  start "$name" ip netns exec "$NS_A" "${nobody[@]}" "$VUBRIDGE" "$@"
}

# refused_as_nobody STATUS PATTERN ARGUMENT…: one line that matches
refused_as_nobody() {
  local want=$1 pattern=$2 status=0
  shift 2
  in_ns "$NS_A" timeout 5 "${nobody[@]}" "$VUBRIDGE" "$@" >"$TMP/refused" 2>&1 </dev/null || status=$?
  [ "$status" = "$want" ] || fail "status $status, not $want: $* ($(cat "$TMP/refused"))"
  [ "$(wc -l <"$TMP/refused")" = 1 ] || fail "not one line: $(cat "$TMP/refused")"
  grep -qE -- "$pattern" "$TMP/refused" || fail "$* said: $(cat "$TMP/refused")"
}

# ended_with NAME SIGNAL STATUS
ended_with() {
  local status=0
  kill -"$2" "${PID[$1]}"
  wait "${PID[$1]}" 2>/dev/null || status=$?
  [ "$status" = "$3" ] || fail "$2 ended $1 with status $status, not $3"
}

identity() {
  ip -n "$NS_A" -o link show dev "$1" | awk '{ print $1, $2 }'
  ip -n "$NS_A" -o link show dev "$1" | grep -o 'link/ether [^ ]*'
  ip -n "$NS_A" -o addr show dev "$1" | awk '$4 !~ /^fe80/ { print $4 }'
}

# ---- a TAP of another's making ----

ns_add a
ns_add b
ip -n "$NS_A" tuntap add dev vnet0 mode tap user $uid
address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
before=$(identity vnet0)
record a "$NS_A" vnet0

start_as_nobody va --path "$SOCK_A" --iface vnet0
start_vubridge vb "$NS_B" --path "$SOCK_B" --iface vnet0
wait_until 5 grep -q 'waiting for the backend' "$TMP/va.log" || fail "a user's own TAP is not used"
wait_iface "$NS_B" vnet0
address "$NS_B" vnet0 10.0.0.2/24 fd00::2/64
[ "$(log_lines va 'queues 1000 packets .*ip link set vnet0 txqueuelen 4096')" = 1 ] ||
  fail "a short queue is not told"
grep -q 'running with no capability, as intended: the MTU ' "$TMP/va.log" || fail "what cannot be done is not logged"
sleep 1.1 # whatever the kernel might announce late
[ "$(carriers a)" = off ] || fail "the carrier flapped at the start: $(carriers a)"
[[ $(told a) != *up* ]] || fail "a carrier was told at the start: $(told a)"
cross_start
chmod 666 "$SOCK_A"
pair_wait up
pair_ping
kill -USR1 "${PID[va]}"
wait_until 2 grep -q 'tx: drops: overflow [0-9]' "$TMP/va.log" || fail "no counter of overflows"

# it ends, the TAP stays without carrier; the next one finds it as it was
stop "${PID[va]}"
wait_carrier "$NS_A" vnet0 down
[ "$(identity vnet0)" = "$before" ] || fail "the TAP changed: $before -> $(identity vnet0)"
start_as_nobody again --path "$SOCK_A" --iface vnet0 --mtu 1500
pair_wait up
pair_ping
ended_with again KILL 137
wait_carrier "$NS_A" vnet0 down
start_as_nobody third --path "$SOCK_A" --iface vnet0
pair_wait up
ended_with third TERM 0
[ "$(identity vnet0)" = "$before" ] || fail "the TAP changed: $before -> $(identity vnet0)"
sleep 1.2
[ "$(carriers a)" = 'off on off on off on off' ] || fail "three lives in sysfs: $(carriers a)"
[[ $(told a) =~ ^(down )?up\ down\ up\ down\ up\ down$ ]] || fail "three lives as told: $(told a)"
stop "${PID[record-a]}"

# root lengthens its queue, which then stays so
start_vubridge root "$NS_A" --path "$SOCK_A" --iface vnet0
pair_wait up
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/tx_queue_len)" = 4096 ] || fail "the queue is as short as before"
ended_with root TERM 0
[ "$(log_lines root 'txqueuelen')" = 0 ] || fail "a queue that was lengthened is called short"

# what takes a capability is fatal only if it was asked for
refused_as_nobody 1 "^vubridge: --mtu '1400': .*CAP_NET_ADMIN" --path "$SOCK_A" --iface vnet0 --mtu 1400
refused_as_nobody 1 "^vubridge: --user 'root': .*root" --path "$SOCK_A" --iface vnet0 --user root
refused_as_nobody 1 "^vubridge: --iface 'vnet9': .*CAP_NET_ADMIN" --path "$SOCK_A" --iface vnet9

# its address does not
start_as_nobody mac --path "$SOCK_A" --iface vnet0 --mac 02:00:00:00:00:09
wait_until 5 grep -q 'carrier on' "$TMP/mac.log" || fail "a user may not set the address of his TAP"
[[ $(identity vnet0) == *02:00:00:00:00:09* ]] || fail "--mac was not set: $(identity vnet0)"
ended_with mac TERM 0

# of a group, and of neither
ip -n "$NS_A" tuntap add dev vnet2 mode tap user 1 group $uid
refused_as_nobody 1 "^vubridge: --iface 'vnet2': .*belongs to another user" --path "$SOCK_A" --iface vnet2
ip -n "$NS_A" link del vnet2
ip -n "$NS_A" tuntap add dev vnet2 mode tap group $uid
start_as_nobody group --path "$SOCK_A" --iface vnet2
wait_until 5 grep -q 'carrier on' "$TMP/group.log" || fail "a group's TAP is not used"
ended_with group TERM 0
ip -n "$NS_A" link del vnet2

# ---- --persist ----

start_vubridge keeper "$NS_A" --path "$SOCK_A" --iface vnet1 --persist --user nobody
wait_until 5 grep -q 'carrier on' "$TMP/keeper.log" || fail "--persist: no carrier"
address "$NS_A" vnet1 192.0.2.1/24
before=$(identity vnet1)
for signal in TERM INT KILL; do
  case $signal in KILL) status=137 ;; *) status=0 ;; esac
  ended_with keeper $signal $status
  wait_carrier "$NS_A" vnet1 down
  [ "$(identity vnet1)" = "$before" ] || fail "--persist: $before -> $(identity vnet1)"
  # now it is nobody's own, and needs neither the option nor a capability
  start_as_nobody keeper --path "$SOCK_A" --iface vnet1
  wait_carrier "$NS_A" vnet1 up
done
ended_with keeper TERM 0
ip -n "$NS_A" link del vnet1

# a start that fails leaves nothing behind
chmod 700 "$SOCK_A"
status=0
in_ns "$NS_A" "$VUBRIDGE" --path "$SOCK_A" --iface vnet1 --persist --user nobody >"$TMP/refused" 2>&1 || status=$?
[ "$status" = 1 ] || fail "a socket that the user may not use: status $status"
grep -q "^vubridge: --path '$SOCK_A': no permission" "$TMP/refused" || fail "said: $(cat "$TMP/refused")"
wait_until 2 sh -c "! ip -n '$NS_A' link show dev vnet1" || fail "a failed start left its interface behind"
