#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# Two vubridges through one OVS-DPDK bridge:
#
#   ns a                         OVS-DPDK                         ns b
#   vnet0 ── vubridge ── vhu-a ── br0 (netdev) ── vhu-b ── vubridge ── vnet0
#   10.0.0.1, fd00::1                                     10.0.0.2, fd00::2
#
# Ping, TCP and UDP with their payload verified, IPv6, VLAN tags, frames from 60 to 9018
# bytes, and 1 GB (TRANSFER_MIB) by TCP with the same hash at both ends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"
need_root
need iperf3 iperf3
need_ovs

ns_add a
ns_add b
ovs_start
ovs_bridge br0
ovs_port br0 vhu-a dpdkvhostuser mtu_request=9018
ovs_port br0 vhu-b dpdkvhostuser mtu_request=9018
start_vubridge va "$NS_A" --path "$TMP/ovs/vhu-a" --iface vnet0
start_vubridge vb "$NS_B" --path "$TMP/ovs/vhu-b" --iface vnet0
wait_iface "$NS_A" vnet0
wait_iface "$NS_B" vnet0
address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
address "$NS_B" vnet0 10.0.0.2/24 fd00::2/64
wait_carrier "$NS_A" vnet0 up
wait_carrier "$NS_B" vnet0 up

wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "IPv4 ping"
wait_until 10 ping_ok "$NS_A" fd00::2 || fail "IPv6 ping"
log "ping, ping6"

# Frames of 60 to 9018 bytes, plain and with an 802.1Q tag, both ways
for x in "$NS_A" "$NS_B"; do ip -n "$x" link set vnet0 mtu 9000; done
lengths="60 60t 61 64 64t 65 127 128 256 511 512 513 1000 1000t 1513 1514 1514t 1518t 1519
  2023 2024 2025 2047 2048 2049 3000 4000 4083 4084 4085 4096 6000 8000 8191 8192 9000 9014 9018t"
# shellcheck disable=SC2086
frames "$NS_A" "$NS_B" vnet0 $lengths
# shellcheck disable=SC2086
frames "$NS_B" "$NS_A" vnet0 $lengths
ping_ok "$NS_A" 10.0.0.2 -M "do" -s 8972 || fail "ping of 9014 bytes"

transfer "$NS_A" "$NS_B" fd00::2 50
for x in "$NS_A" "$NS_B"; do ip -n "$x" link set vnet0 mtu 1500; done
transfer "$NS_B" "$NS_A" 10.0.0.1 50
datagrams "$NS_A" "$NS_B" 10.0.0.2 2000
datagrams "$NS_B" "$NS_A" fd00::1 2000
iperf "$NS_B" "$NS_A" 10.0.0.2 -u -b 10M -t 2 -l 1000 || fail "iperf3 UDP"
iperf "$NS_B" "$NS_A" 10.0.0.2 -t 2 || fail "iperf3 TCP"
log "TCP $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$TMP/iperf.json") Mbit/s"
transfer "$NS_A" "$NS_B" 10.0.0.2 "${TRANSFER_MIB:-1000}"

[ "$(log_lines va 'carrier off')" = 0 ] || fail "the carrier went off"
kill -USR1 "${PID[va]}"
wait_until 2 grep -q 'overflow' "$TMP/va.log" || fail "no counters"
grep -E 'rxq0|txq0|overflow' "$TMP/va.log"
