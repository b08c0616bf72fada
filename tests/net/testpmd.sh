#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# Two vubridges through dpdk-testpmd's net_vhost ports in io mode (see pair.sh), without and
# with huge pages; then testpmd as a source (txonly) and as a sink (rxonly).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/pair.sh"
need_root
need iperf3 iperf3
need_testpmd

counter() { in_ns "$NS_A" cat "/sys/class/net/vnet0/statistics/$1"; }

pair_start --hugepages
for memory in nohuge huge; do
  testpmd_start "pmd-$memory" "$memory" io "$SOCK_A" "$SOCK_B"
  pair_wait up
  pair_ping
  frames "$NS_A" "$NS_B" vnet0 60 64t 100 1000 1513 1514 1518t
  transfer "$NS_A" "$NS_B" 10.0.0.2 100
  transfer "$NS_B" "$NS_A" fd00::1 100
  iperf "$NS_B" "$NS_A" 10.0.0.2 -t 2 || fail "iperf3 TCP"
  log "$memory: TCP $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$TMP/iperf.json") Mbit/s"
  datagrams "$NS_A" "$NS_B" 10.0.0.2 2000
  datagrams "$NS_B" "$NS_A" fd00::1 2000
  iperf "$NS_B" "$NS_A" 10.0.0.2 -u -b 10M -t 2 || fail "iperf3 UDP"
  stop "${PID[pmd-$memory]}"
  pair_wait down
done
grep -q 'in huge pages' "$TMP/va.log" || fail "--hugepages did not use them"

testpmd_start source huge txonly "$SOCK_A"
wait_carrier "$NS_A" vnet0 up
before=$(counter rx_packets)
sleep 1
got=$(($(counter rx_packets) - before))
[ "$got" -gt 1000 ] || fail "txonly: only $got frames a second"
log "txonly: $got frames in a second"
stop "${PID[source]}"
wait_carrier "$NS_A" vnet0 down

testpmd_start sink huge rxonly "$SOCK_A"
wait_carrier "$NS_A" vnet0 up
ip -n "$NS_A" neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev vnet0
in_ns "$NS_A" ping -q -i 0.001 -c 2000 -W 1 10.0.0.9 >/dev/null || true
# it prints what it has seen when it ends
stop "${PID[sink]}"
seen=$(sed -nE 's/.*RX-packets: ([0-9]+).*/\1/p' "$TMP/sink.log" | sort -n | tail -n 1)
[ "${seen:-0}" -ge 2000 ] || fail "rxonly saw ${seen:-no} frames of 2000"
log "rxonly: $seen frames seen"
