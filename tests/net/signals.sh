#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 60
#
# SIGTERM, SIGINT and SIGHUP end the daemon with status 0: rings stopped, interface removed, an
# interface that was there before kept. SIGUSR1 logs the counters. Both ways of I/O.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root

ended_with() {
  local status=0
  kill -"$2" "${PID[$1]}"
  wait "${PID[$1]}" || status=$?
  [ "$status" = "$3" ] || fail "$2 ended $1 with status $status, not $3"
}
no_iface() { ! ip -n "$NS_A" link show dev "$1" >/dev/null 2>&1 || fail "$1 was left behind"; }

cross_start
pair_start --io plain
pair_wait up
pair_ping
kill -USR1 "${PID[va]}"
wait_until 2 grep -q 'tx: drops: overflow' "$TMP/va.log" || fail "SIGUSR1 logged no counters"
counters='frames [1-9][0-9]* bytes [1-9][0-9]* kicks [0-9]+ calls [0-9]+ superframes [0-9]+ .*'
counters+='sleeps [1-9][0-9]* drops: refused 0'
grep -qE "rxq0: $counters" "$TMP/va.log" ||
  fail "wrong counters: $(grep rxq0 "$TMP/va.log")"
while read -r name; do
  grep -E 'rxq0:|txq0:|tx:' "$TMP/va.log" | grep -qw "$name" || fail "the manual's counter $name is not in the log"
done < <(sed -n '/BEGIN COUNTERS/,/END COUNTERS/s/^\.It Cm //p' "${top_srcdir:-$LIB_DIR/../..}/man/vubridge.8")
grep -q "$SOCK_A" "$TMP/va.log" || fail "the log does not name the socket"
ended_with va TERM 0
no_iface vnet0
grep -q 'carrier off: vubridge is ending' "$TMP/va.log" || fail "the reason: $(cat "$TMP/va.log")"
ended_with vb INT 0
grep -q "disconnected $SOCK_A: the driver left" "$TMP/peer.log" || fail "the rings were not stopped in order"

# while it waits for a backend, and while one hangs
start_vubridge waits "$NS_A" --path "$TMP/none.sock" --iface vnet1
wait_iface "$NS_A" vnet1
ended_with waits TERM 0
no_iface vnet1
start_vubridge hup "$NS_A" --path "$TMP/none.sock" --iface vnet1
wait_iface "$NS_A" vnet1
ended_with hup HUP 0
no_iface vnet1
grep -q 'ending on SIGHUP' "$TMP/hup.log" || fail "SIGHUP: $(cat "$TMP/hup.log")"
start nohup ip netns exec "$NS_A" nohup "$VUBRIDGE" --path "$TMP/none.sock" --iface vnet1
wait_iface "$NS_A" vnet1
kill -HUP "${PID[nohup]}"
sleep 0.3
alive "${PID[nohup]}" || fail "SIGHUP ended it under nohup"
ended_with nohup TERM 0
start_peer hangs --socket "$TMP/hang.sock" --mode sink --misbehave hang-at:GET_FEATURES
start_vubridge hung "$NS_A" --path "$TMP/hang.sock" --iface vnet1
wait_until 5 grep -q connected "$TMP/hangs.log" || fail "no connection"
sleep 0.2
before=${EPOCHREALTIME/[.,]/}
ended_with hung INT 0
[ $((${EPOCHREALTIME/[.,]/} - before)) -lt 1000000 ] || fail "a hanging backend delayed the end"
no_iface vnet1

# started without standard descriptors: what is opened later does not take their place, or the
# log would go there
ip netns exec "$NS_A" "$VUBRIDGE" --path "$SOCK_A" --iface vnet1 <&- >&- 2>&- &
PID[closed]=$!
LIB_PIDS+=("$!")
wait_iface "$NS_A" vnet1
ip -n "$NS_A" link set vnet1 up
wait_carrier "$NS_A" vnet1 up
for i in 0 1 2; do
  [ "$(readlink "/proc/${PID[closed]}/fd/$i")" = /dev/null ] ||
    fail "descriptor $i is $(readlink "/proc/${PID[closed]}/fd/$i")"
done
ended_with closed TERM 0
no_iface vnet1

# an interface made by someone else stays, with its address
ip -n "$NS_A" tuntap add dev vnet2 mode tap vnet_hdr
ip -n "$NS_A" addr add 192.0.2.1/24 dev vnet2
start_vubridge keeps "$NS_A" --path "$SOCK_A" --iface vnet2
wait_until 5 grep -q 'carrier on' "$TMP/keeps.log" || fail "an existing TAP is not used"
ended_with keeps TERM 0
ip -n "$NS_A" addr show dev vnet2 | grep -q 192.0.2.1 || fail "an existing TAP was removed"

# the interface deleted under the daemon: one line, status 1
start_vubridge robbed "$NS_A" --path "$SOCK_A" --iface vnet3
wait_until 5 grep -q 'carrier on' "$TMP/robbed.log" || fail "no carrier"
ip -n "$NS_A" link del vnet3
status=0
wait "${PID[robbed]}" || status=$?
[ "$status" = 1 ] || fail "a deleted interface ended the daemon with status $status"
[ "$(log_lines robbed 'the interface is gone')" = 1 ] || fail "the loss was not logged once"
