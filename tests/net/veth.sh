#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# What only a veth has (veth_list.sh has what a TAP has too): a hidden end, a user's end that
# may live in another namespace, tags that travel beside the frame.
#
#   ns a (moved: c)                                             ns b
#   vnet0 ═ vnet0-vub ── vubridge ── backend ── vubridge ── vnet0-vub ═ vnet0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3
need iperf3 iperf3
need jq jq
need ethtool ethtool
export IFACE_TYPE=veth

pair_start
ip -n "$NS_A" -d link show vnet0 | grep -q ' veth ' || fail "not a veth"
sleep 0.3
pair_wait down
cross_start
pair_wait up
pair_ping
pair_neighbours
pair_mtu 9000
frames "$NS_A" "$NS_B" vnet0 60 64t 100 1000 1513 1514 1518t 2036 9014 9018t
frames "$NS_B" "$NS_A" vnet0 9018t 9014 61t 60
pair_mtu 1500
transfer "$NS_A" "$NS_B" 10.0.0.2 50
transfer "$NS_B" "$NS_A" fd00::1 50
iperf "$NS_B" "$NS_A" 10.0.0.2 -t 1 || fail "iperf3 TCP"
log "TCP $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$TMP/iperf.json") Mbit/s"
iperf "$NS_B" "$NS_A" 10.0.0.2 -u -b 10M -t 1 || fail "iperf3 UDP"
lost=$(jq '.end.sum.lost_percent' "$TMP/iperf.json")
awk -v l="$lost" 'BEGIN { exit !(l < 20) }' || fail "UDP at 10 Mbit/s lost $lost %"

# TCP over a VLAN interface: superframes with tags, and checksums behind them
vlan() {
  ip -n "$1" link add link vnet0 name vnet0.7 type vlan id 7 2>/dev/null || return 1
  address "$1" vnet0.7 "$2/24"
}
vlan_transfer() {
  [ "$VLAN" = yes ] || return 0
  wait_until 5 ping_ok "$NS_A" 10.7.0.2 || fail "ping over a VLAN"
  transfer "$NS_A" "$NS_B" 10.7.0.2 "$1"
}
VLAN=yes
if ! vlan "$NS_A" 10.7.0.1 || ! vlan "$NS_B" 10.7.0.2; then
  log "not tested: VLAN interfaces, which this kernel lacks"
  VLAN=no
fi
vlan_transfer 50
stop "${PID[peer]}"
pair_wait down
cross_start --no-feature CSUM --no-feature GUEST_CSUM
pair_wait up
vlan_transfer 10
# whoever turns offloads on that the backend did not take: nothing goes out broken
in_ns "$NS_A" ethtool -K vnet0 tx on >/dev/null
transfer "$NS_A" "$NS_B" 10.0.0.2 10
stop "${PID[peer]}"
pair_wait down
cross_start
pair_wait up

# The user's own down and up, and a worker that sleeps through it
ip -n "$NS_A" link set vnet0 down
sleep 0.3
before=$(cpu_ticks "${PID[va]}")
sleep 1
used=$(($(cpu_ticks "${PID[va]}") - before))
[ "$used" -lt 20 ] || fail "vubridge takes $used ticks a second while the interface is down"
ip -n "$NS_A" link set vnet0 up
pair_wait up
wait_until 5 ping_ok "$NS_A" 10.0.0.2 || fail "no ping after down and up"
[ "$(log_times va 'carrier o(n|ff)')" = 5 ] || fail "the user's down was taken for the backend's"

# Into another namespace: traffic, carrier and reconnect go on.
ns_add c
[ "$VLAN" = no ] || ip -n "$NS_A" link del vnet0.7
ip -n "$NS_A" link set vnet0 netns "$NS_C"
address "$NS_C" vnet0 10.0.0.1/24 fd00::1/64
wait_until 5 grep -q 'moved to a network namespace' "$TMP/va.log" || fail "the move was not logged"
wait_carrier "$NS_C" vnet0 up
NS_HOME=$NS_A NS_A=$NS_C
wait_until 5 ping_ok "$NS_C" 10.0.0.2 || fail "no ping from the other namespace"
transfer "$NS_C" "$NS_B" 10.0.0.2 50
stop "${PID[peer]}" KILL
pair_wait down
cross_start
pair_wait up
wait_until 5 ping_ok "$NS_C" 10.0.0.2 || fail "no ping after the reconnect"

# kill -9 leaves the pair as it is; the next vubridge finds it by its hidden end, and
# removes it in the end
stop "${PID[va]}" KILL
carrier_is "$NS_C" vnet0 up || fail "the pair went away with its process"
# (what it has over there it keeps, also against options, as the log says)
mac=$(in_ns "$NS_C" cat /sys/class/net/vnet0/address)
start_vubridge va1 "$NS_HOME" --path "$SOCK_A" --iface vnet0 --mac 02:00:00:00:00:99 --mtu 1400
wait_until 5 grep -q 'carrier on' "$TMP/va1.log" || fail "the moved interface was not found again"
[ "$(log_lines va1 'vnet0: the interface is in another .*, where --mac and --mtu cannot be set')" = 1 ] ||
  fail "options that have no effect: $(cat "$TMP/va1.log")"
[ "$(in_ns "$NS_C" cat /sys/class/net/vnet0/address)" = "$mac" ] || fail "--mac in another namespace"
stop "${PID[va1]}" KILL
start_vubridge va2 "$NS_HOME" --path "$SOCK_A" --iface vnet0 --mac "$mac"
wait_until 5 grep -q 'carrier on' "$TMP/va2.log" || fail "the moved interface was not found again"
grep -q 'cannot be set' "$TMP/va2.log" && fail "an address that it has: $(cat "$TMP/va2.log")"
wait_until 5 ping_ok "$NS_C" 10.0.0.2 || fail "no ping after the restart"
[ "$(in_ns "$NS_HOME" "$VUBRIDGE" --path "$SOCK_A" --iface vnet0 --iface-type veth 2>&1 | grep -c 'in use')" = 1 ] ||
  fail "a second vubridge on the same pair was not refused"
stop "${PID[va2]}"
ip -n "$NS_C" link show vnet0 2>/dev/null && fail "the interface was left behind"

# Deleted: one line, status 1
status=0
ip -n "$NS_B" link del vnet0
wait_until 5 ended "${PID[vb]}" || fail "vubridge goes on without its interface"
wait "${PID[vb]}" || status=$?
[ "$status" = 1 ] || fail "the interface deleted: status $status"
[ "$(log_lines vb 'is gone')" = 1 ] || fail "the interface deleted: not one line"

# A name for the hidden end; an existing pair stays; what cannot be
in_ns "$NS_B" ip link add own0 type veth peer name own1
start_vubridge named "$NS_B" --path "$SOCK_B" --iface v%d --veth-peer hid%d
start_vubridge own "$NS_B" --path "$TMP/none.sock" --iface own0
wait_iface "$NS_B" hid0
wait_iface "$NS_B" v0
wait_until 5 grep -q waiting "$TMP/own.log" || fail "an existing veth"
stop "${PID[named]}"
stop "${PID[own]}"
ip -n "$NS_B" link show v0 2>/dev/null && fail "v0 was left behind"
ip -n "$NS_B" link show own1 >/dev/null || fail "an existing pair was removed"
grep -q 'io_uring' "$TMP/named.log" && fail "io_uring was tried"

refused() {
  local want=$1 pattern=$2 status=0
  shift 2
  in_ns "$NS_B" timeout 5 "$VUBRIDGE" --path "$SOCK_B" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
  [ "$status" = "$want" ] || fail "status $status, not $want: $* ($(cat "$TMP/err"))"
  [ "$(wc -l <"$TMP/err")" = 1 ] || fail "not one line: $*: $(cat "$TMP/err")"
  grep -qE -- "$pattern" "$TMP/err" || fail "$* said: $(cat "$TMP/err")"
}
refused 2 "--veth-peer 'x0': needs --iface-type veth" --veth-peer x0
refused 2 "--io 'uring': .*--iface-type veth" --iface-type veth --io uring
refused 1 "--iface 'lo': .*not a veth" --iface-type veth --iface lo
refused 1 "--iface 'own0': .*--veth-peer" --iface-type veth --iface own0 --veth-peer other
refused 1 "--iface 'own0': .*not a TAP" --iface own0
[ "$(in_ns "$NS_B" ip -o link show | grep -c veth-vub)" = 0 ] || fail "a refusal left an interface behind"
