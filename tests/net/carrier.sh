#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# The carrier's truth, on the laboratory of pair.sh with the test peer: off before the
# backend is there, on with it, off within 10 ms of its kill -9, on again. The kernel tells
# each change once. Index, addresses and routes stay.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3

pair_start
sleep 0.5
pair_wait down
ip -n "$NS_A" route add 198.51.100.0/24 via 10.0.0.2 dev vnet0
identity() {
  ip -n "$NS_A" -o link show dev vnet0 | awk '{ print $1, $2 }'
  ip -n "$NS_A" -o link show dev vnet0 | grep -o 'link/ether [^ ]*'
  ip -n "$NS_A" -o addr show dev vnet0 | awk '$4 !~ /^fe80/ { print $4 }'
  ip -n "$NS_A" route show dev vnet0 | sed 's/ linkdown//' | grep 198.51.100
}
before=$(identity)

in_ns "$NS_A" stdbuf -oL ip -o monitor link dev vnet0 >"$TMP/monitor.log" 2>&1 &
LIB_PIDS+=("$!")
sleep 0.2

# Kills the peer and measures when the interface in ns a has lost its carrier.
cat >"$TMP/kill.py" <<'PY'
import os, signal, sys, time
pid, limit = int(sys.argv[1]), 2.0
carrier = lambda: open("/sys/class/net/vnet0/carrier").read().strip()
assert carrier() == "1"
fd = os.pidfd_open(pid)
signal.pidfd_send_signal(fd, signal.SIGKILL)
start = time.monotonic()
while carrier() != "0":
    if time.monotonic() - start > limit:
        sys.exit("carrier still on after 2 s")
print("%.2f" % ((time.monotonic() - start) * 1000))
PY

rounds=5
for ((i = 0; i < rounds; i++)); do
  cross_start
  pair_wait up
  wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping in round $i"
  ms=$(in_ns "$NS_A" python3 "$TMP/kill.py" "${PID[peer]}") || fail "the carrier stays on"
  log "carrier off $ms ms after kill -9"
  echo "$ms" >>"$TMP/times"
  pair_wait down
done
# of five, the median: a machine of two cores may run something else just then
median=$(sort -n "$TMP/times" | sed -n 3p)
awk -v t="$median" 'BEGIN { exit !(t <= 10) }' || fail "carrier off after $median ms, 10 are allowed"

sleep 1.2 # whatever the kernel might announce late
events=$(wc -l <"$TMP/monitor.log")
flips=$(awk '{ up = /LOWER_UP/ ? 1 : 0; if (up != last) n++; last = up } END { print n + 0 }' \
  "$TMP/monitor.log")
log "$events events, $flips changes of LOWER_UP"
# one event more is fine: the offloads of the first connection
[ "$events" -le $((2 * rounds + 1)) ] || fail "$events events for $((2 * rounds)) changes"
[ "$flips" = $((2 * rounds)) ] || fail "$flips changes of LOWER_UP were told, $((2 * rounds)) there were"
[ "$(identity)" = "$before" ] || fail "the interface changed: $before -> $(identity)"

# Anyone may set the carrier; it is put back. A veth has one while its hidden end is up.
carrier_set() {
  case ${IFACE_TYPE:-tap}$1 in
  tap*) ip -n "$NS_A" link set vnet0 carrier "$1" ;;
  vethon) ip -n "$NS_A" link set vnet0-vub up ;;
  vethoff) ip -n "$NS_A" link set vnet0-vub down ;;
  esac
}
cross_start
pair_wait up
carrier_set off
wait_carrier "$NS_A" vnet0 up 2
stop "${PID[peer]}" KILL
wait_carrier "$NS_A" vnet0 down
carrier_set on
wait_carrier "$NS_A" vnet0 down 2

# A backend whose configuration says that the link is down
cross_start --link down
wait_until 5 grep -q 'carrier stays off: link down' "$TMP/va.log" || fail "link down was not heard"
carrier_is "$NS_A" vnet0 down || fail "the carrier is on, the link is down"
[ "$(log_times va 'carrier on')" = $((rounds + 1)) ] || fail "carrier on was not logged once each time"
