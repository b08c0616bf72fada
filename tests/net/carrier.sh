#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# The carrier's truth, on the laboratory of pair.sh with the test peer: off before the
# backend is there, on with it, off within 10 ms of its kill -9, on again. The kernel tells
# each change once. Index, addresses and routes stay.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/record.sh"
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

record a "$NS_A" vnet0

rounds=5
for ((i = 0; i < rounds; i++)); do
  cross_start
  pair_wait up
  wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "ping in round $i"
  mark
  stop "${PID[peer]}" KILL
  wait_until 2 first a "$MARK" ' carrier off' || fail "the carrier stays on"
  off=$(ms "$MARK" "$(first a "$MARK" ' carrier off')")
  log "carrier off $off ms after kill -9"
  echo "$off" >>"$TMP/times"
  pair_wait down
done
# of five, the median: what else the machine does is not ours
median=$(sort -n "$TMP/times" | sed -n 3p)
awk -v t="$median" 'BEGIN { exit !(t <= 10) }' || fail "carrier off after $median ms, 10 are allowed"

sleep 1.2 # whatever the kernel might announce late
log "$(events a) events, $(lower_up_changes a) changes of LOWER_UP"
# one event more is fine: the offloads of the first connection
[ "$(events a)" -le $((2 * rounds + 1)) ] || fail "$(events a) events for $((2 * rounds)) changes"
[ "$(lower_up_changes a)" = $((2 * rounds)) ] ||
  fail "$(lower_up_changes a) changes of LOWER_UP were told, $((2 * rounds)) there were"
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
