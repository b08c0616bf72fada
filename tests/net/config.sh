#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the device's configuration says, the interface does, and back: link, MTU, address;
# announcements; a device that needs a reset.
#
#   ns a: vnet0 ── vubridge ── $SOCK_A ── test peer (--commands)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/record.sh"
need_root
need python3 python3
need jq jq

has_mtu() { [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/mtu)" = "$1" ]; }
has_mac() { [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/address)" = "$1" ]; }
logged() { wait_until 5 grep -qE "$2" "$TMP/$1.log" || fail "$1 has no line like '$2'"; }

ns_add a

# ---- an address that stays the same, whatever the socket is called ----
ns_add c
own_mac() { # NS ARGUMENT…
  local ns=$1
  shift
  start_vubridge name "$ns" --iface vnet0 "$@"
  wait_iface "$ns" vnet0
  # whatever it was made with
  wait_until 5 grep -qE 'waiting|listening' "$TMP/name.log" || fail "it does not wait"
  in_ns "$ns" cat /sys/class/net/vnet0/address
  stop "${PID[name]}"
  : >"$TMP/name.log"
}
if [ -r /etc/machine-id ]; then
  mac=$(nested own_mac "$NS_A" --path "$SOCK_A")
  [ "$(nested own_mac "$NS_A" --path "$SOCK_A")" = "$mac" ] || fail "another address after a restart"
  [ "$(nested own_mac "$NS_A" --path "$TMP/other.sock")" = "$mac" ] || fail "another address with another socket"
  is_veth || [ "$(nested own_mac "$NS_A" --path "$SOCK_A" --iface-type veth)" = "$mac" ] ||
    fail "another address of a veth"
  [ "$(nested own_mac "$NS_C" --path "$SOCK_A")" != "$mac" ] || fail "one address in two namespaces"
fi
# without a machine-id it is random, as the log says
no_id() {
  start name ip netns exec "$NS_A" unshare --mount sh -c 'for f in /etc/machine-id /run/machine-id; do
    [ ! -e $f ] || mount --bind /dev/null $f || exit
    done && exec "$@"' sh "$VUBRIDGE" --path "$SOCK_A" --iface vnet0 --control none
  wait_until 5 grep -q 'waiting' "$TMP/name.log" || fail "it does not start without a machine-id"
  [ "$(log_lines name '^vnet0: no machine-id .*random .*--mac')" = 1 ] || fail "a random address is not told"
}
nested no_id

# ---- the backend's configuration ----
peer_start peer --mtu 1400 --mac 02:00:00:00:00:07
control=(--queues 2)
! is_veth || control=(--cq 1)
start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 "${control[@]}" --keep-caps
wait_iface "$NS_A" vnet0
address "$NS_A" vnet0 10.0.0.1/24
wait_carrier "$NS_A" vnet0 up
wait_until 5 has_mac 02:00:00:00:00:07 || fail "the backend's address was not taken"
wait_until 5 has_mtu 1400 || fail "the backend's MTU was not taken"
logged va 'address 02:00:00:00:00:07, by the backend'
logged peer "^mtu .* 1400"
# announced by the backend, which agreed to
logged peer '^rarp .* 02:00:00:00:00:07'

# link down and up, each once
record va "$NS_A" vnet0
mark
tell link down
wait_carrier "$NS_A" vnet0 down
logged va 'carrier off: link down by the backend'
wait_until 5 first va "$MARK" ' event .*NO-CARRIER' || fail "link down: ip monitor tells of nothing"
mark
tell link up
wait_carrier "$NS_A" vnet0 up
wait_until 5 first va "$MARK" ' event .*LOWER_UP' || fail "link up: ip monitor tells of nothing"
sleep 1.2 # whatever the kernel might announce late
[ "$(carriers va)" = 'on off on' ] || fail "link down and up in sysfs: $(carriers va)"
[[ $(told va) =~ ^(up )?down\ up$ ]] || fail "link down and up as told: $(told va)"
stop "${PID[record-va]}"
[ "$(grep -c '^connected' "$TMP/peer.log")" = 1 ] || fail "it reconnected for it"

# what the backend changes, the interface follows
tell mtu 1300
wait_until 5 has_mtu 1300 || fail "mtu 1300 was not taken"
logged peer '^mtu .* 1300'
tell mac 02:00:00:00:00:08
wait_until 5 has_mac 02:00:00:00:00:08 || fail "the new address was not taken"
before=$(grep -c '^rarp' "$TMP/peer.log")
tell announce
wait_until 5 sh -c "[ \$(grep -c '^rarp' '$TMP/peer.log') -gt $before ]" || fail "no announcement"

# what the kernel changes, the backend is told; a mismatch is named, once. Who has agreed to
# keep to an MTU may not exceed it: that is negotiated anew, without and with it
connected_times() { [ "$(log_lines "$1" 'connected to')" = "$2" ]; }
last_features() { grep 'connected to' "$TMP/$1.log" | tail -n 1; }
ip -n "$NS_A" link set vnet0 mtu 1250
logged peer '^mtu .* 1250'
logged va 'mtu 1250 is smaller than the backend.s 1300'
[ "$(log_lines va 'connected to')" = 1 ] || fail "it reconnected for a smaller MTU"
[[ $(last_features va) == *' MTU'* ]] || fail "the MTU was not agreed on: $(last_features va)"
ip -n "$NS_A" link set vnet0 mtu 1350
logged va 'mtu 1350 is larger than the backend.s 1300'
logged va 'carrier off: the MTU has to be agreed on anew'
wait_until 5 connected_times va 2 || fail "it did not connect anew"
wait_carrier "$NS_A" vnet0 up 5
[[ $(last_features va) != *' MTU'* ]] || fail "it goes on with what it does not keep to: $(last_features va)"
grep -q '^mtu .* 1350' "$TMP/peer.log" && fail "the backend was told an MTU that was not agreed on"
ip -n "$NS_A" link set vnet0 mtu 1200
logged peer '^mtu .* 1200'
wait_carrier "$NS_A" vnet0 up 5
[[ $(last_features va) == *' MTU'* ]] || fail "the MTU was not agreed on again"
[ "$(log_lines va 'is larger than')" = 1 ] || fail "a mismatch: $(cat "$TMP/va.log")"

# receive modes, whoever asks for them: the user, a bridge, of which the flags show nothing
modes() { "$VUBCTL" -j -i "$TMP/va.control" show | jq -r '.[0] | "\(.promisc) \(.allmulti)"'; }
modes_are() { [ "$(modes)" = "$1" ]; }
# learns MODES COMMAND…
learns() {
  local modes=$1
  shift
  "$@"
  wait_until 5 modes_are "$modes" || fail "$*: promisc, allmulti are $(modes), not $modes"
}
modes_are 'false false' || fail "promisc, allmulti are $(modes) at first"
set_link() { ip -n "$NS_A" link set vnet0 "$@"; }
learns 'true false' set_link promisc on
learns 'true true' set_link allmulticast on
learns 'false true' set_link promisc off
learns 'false false' set_link allmulticast off
ip -n "$NS_A" link add br0 type bridge
learns 'true true' set_link master br0
[[ $(in_ns "$NS_A" "$VUBCTL" -i "$TMP/va.control" show) == *' mtu 1200 backend-mtu 1300 promisc allmulti'* ]] ||
  fail "vubctl show: $("$VUBCTL" -i "$TMP/va.control" show)"

# a device that needs a reset gets one, and learns all again
tell needs-reset
logged va 'the device needs a reset'
wait_carrier "$NS_A" vnet0 up 5
has_mtu 1200 || fail "an MTU that the user had set was changed"
modes_are 'true true' || fail "promisc, allmulti are $(modes) after a reset"
learns 'false false' set_link nomaster

# an address that the user sets is what is announced from then on
set_link address 02:00:00:00:00:09
tell announce
logged peer '^rarp .* 02:00:00:00:00:09'
has_mac 02:00:00:00:00:09 || fail "an address that the user had set was changed"
peer_stop peer
wait_carrier "$NS_A" vnet0 down
stop "${PID[va]}"

# ---- a backend that tells news, and then hangs or lies when it is asked for it ----
n=0
late() {
  local name=late$n
  n=$((n + 1))
  peer_start "peer$name" --mtu 1400 --misbehave "$1" --misbehave-times 1 --misbehave-late
  start_vubridge "$name" "$NS_A" --path "$SOCK_A" --iface "v$n"
  logged "$name" 'carrier on'
  tell link up
  wait_until 8 sh -c "[ \$(grep -c 'carrier on' '$TMP/$name.log') = 2 ]" || fail "$1: $(cat "$TMP/$name.log")"
  [ "$(log_lines "$name" 'cannot use|disconnect')" = 1 ] || fail "$1: not one line: $(cat "$TMP/$name.log")"
  grep -qE "(disconnecting from .*|backend at .*): *$2" "$TMP/$name.log" || fail "$1: $(cat "$TMP/$name.log")"
  stop "${PID[$name]}"
  peer_stop "peer$name"
}
for request in GET_STATUS GET_CONFIG; do
  late "hang-at:$request" "$request: no answer in time"
  late "truncate-reply:$request" "$request: the peer hung up within its answer|$request: no answer in time"
  late "oversize-reply:$request" "$request: the answer has the wrong size"
  late "wrong-reply:$request" "$request: the answer is to another request"
  late "reply-fd:$request" "$request: descriptors came with the answer"
  late "double-reply:$request" '(GET_CONFIG|connection): the peer sent what it was not asked for'
done

# ---- frames that the backend queued while its link was down are not delivered late ----
peer_start peer5 --mode generate --rate 2000
start_vubridge ve "$NS_A" --path "$SOCK_A" --iface vnet0 --queue-size 256
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
tell link down
wait_carrier "$NS_A" vnet0 down 2
sleep 0.5 # the ring's 256 buffers are full after an eighth of a second
tell link up
wait_carrier "$NS_A" vnet0 up 2
kill -USR1 "${PID[ve]}"
logged ve 'rxq0: .* stale [1-9]'
stale=$(grep -oE 'rxq0: .* stale [0-9]+' "$TMP/ve.log" | grep -oE '[0-9]+$')
[ "$stale" -gt 128 ] && [ "$stale" -le 256 ] || fail "$stale frames counted as stale, of a ring of 256"
before=$(in_ns "$NS_A" cat /sys/class/net/vnet0/statistics/rx_packets)
sleep 0.2
[ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/statistics/rx_packets)" -gt "$before" ] || fail "it forwards no more"
peer_stop peer5
stop "${PID[ve]}"

# ---- no capability: the address is taken all the same, the MTU stays, as the log says; a veth has
# ---- one, and takes both
peer_start peer1 --mtu 1400 --mac 02:00:00:00:00:07
start_vubridge vd "$NS_A" --path "$SOCK_A" --iface vnet0
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
if is_veth; then
  wait_until 5 has_mac 02:00:00:00:00:07 || fail "the backend's address was not taken"
  wait_until 5 has_mtu 1400 || fail "the backend's MTU was not taken"
else
  wait_until 5 has_mac 02:00:00:00:00:07 || fail "the backend's address was not taken without a capability"
  logged vd 'address 02:00:00:00:00:07, by the backend'
  tell mac 02:00:00:00:00:08
  wait_until 5 has_mac 02:00:00:00:00:08 || fail "nor was its new one"
  logged peer1 '^rarp .* 02:00:00:00:00:07'
  logged vd "mtu 1500 is larger than the backend's 1400, which cannot be set"
  [ "$(log_lines vd ' mtu ')" = 1 ] || fail "not one line: $(cat "$TMP/vd.log")"
  [[ $(last_features vd) != *' MTU'* ]] || fail "it agreed to an MTU that it exceeds"
  grep -q '^mtu' "$TMP/peer1.log" && fail "the backend was told an MTU that was not agreed on"
  ip -n "$NS_A" link set vnet0 mtu 1400 # as the user may
  logged peer1 '^mtu .* 1400'
  [[ $(last_features vd) == *' MTU'* ]] || fail "it does not agree to an MTU that it keeps"
  # the backend lowers it, which again cannot be followed
  tell mtu 1350
  logged vd "mtu 1400 is larger than the backend's 1350, which cannot be set"
  wait_until 5 connected_times vd 3 || fail "it did not connect anew"
  wait_carrier "$NS_A" vnet0 up 5
  [[ $(last_features vd) != *' MTU'* ]] || fail "it goes on with an MTU that was lowered"
fi
peer_stop peer1
stop "${PID[vd]}"

# ---- options come first ----
peer_start peer2 --mtu 1400 --mac 02:00:00:00:00:07 --protocol-features 0x1020b
speed=(--speed 25000)
! is_veth || speed=() # its speed is the kernel's to say
start_vubridge vb "$NS_A" --path "$SOCK_A" --iface vnet0 --mtu 1500 --mac 02:00:00:00:00:99 \
  "${speed[@]}"
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
has_mac 02:00:00:00:00:99 || fail "--mac does not come first"
has_mtu 1500 || fail "--mtu does not come first"
logged vb 'mtu 1500 is larger than the backend.s 1400: '
[[ $(last_features vb) != *' MTU'* ]] || fail "it agreed to an MTU that --mtu exceeds"
is_veth || [ "$(in_ns "$NS_A" cat /sys/class/net/vnet0/speed)" = 25000 ] || fail "--speed"
peer_stop peer2
stop "${PID[vb]}"

peer_start peer6 --mtu 1500
start_vubridge vf "$NS_A" --path "$SOCK_A" --iface vnet0 --mtu 1400
wait_iface "$NS_A" vnet0
logged vf 'mtu 1400 is smaller than the backend.s 1500: '
has_mtu 1400 || fail "a smaller --mtu does not come first"
logged peer6 '^mtu .* 1400'
[[ $(last_features vf) == *' MTU'* ]] || fail "it did not agree to an MTU that it keeps"
peer_stop peer6
stop "${PID[vf]}"

# ---- without RARP in the protocol the announcement is a frame, from the interface's address ----
peer_start peer3 --protocol-features 0x1020b --dump
start_vubridge vc "$NS_A" --path "$SOCK_A" --iface vnet0 --mac 02:00:00:00:00:99
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
mac=020000000099
# broadcast; request reverse: who has this address is told the same one
logged peer3 "^frame .*: [0-9]+ bytes ffffffffffff${mac}8035000108000604""0003${mac}[0-9a-f]{8}${mac}"
[ "$(sed -nE "s/^frame .*: ([0-9]+) bytes f{12}${mac}8035.*/\1/p" "$TMP/peer3.log" | sort -u)" = 60 ] ||
  fail "the announcement's length: $(cat "$TMP/peer3.log")"
peer_stop peer3

# ---- the peer reflects it. What comes back at once finds a veth without its carrier yet, and is lost.
if is_veth; then
  log "configuration followed both ways"
  exit 0
fi

cat >"$TMP/rarp.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8035))
s.bind((sys.argv[1], 0x8035))
s.settimeout(10)
print("ready", flush=True)
f = s.recv(2000)
mac = bytes.fromhex("020000000099")
assert f[:6] == b"\xff" * 6 and f[6:12] == mac and f[20:22] == b"\0\3", f.hex()
assert f[22:28] == mac and f[32:38] == mac and len(f) >= 60, f.hex()
PY
in_ns "$NS_A" python3 "$TMP/rarp.py" vnet0 >"$TMP/rarp.log" 2>&1 &
rarp=$!
wait_until 5 grep -q ready "$TMP/rarp.log" || fail "rarp.py: $(cat "$TMP/rarp.log")"
peer_start peer4 --protocol-features 0x1020b
wait "$rarp" || fail "the announcement: $(cat "$TMP/rarp.log")"
log "configuration followed both ways"
