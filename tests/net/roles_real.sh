#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 280
#
# Real backends in both roles of the socket and with several queue pairs, on the laboratory
# of pair.sh: testpmd with 1, 2 and 4 pairs, OVS-DPDK with ports of both types, restarted
# under traffic.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/pair.sh"
need_root
need_testpmd
need_ovs
need iperf3 iperf3
need jq jq
need python3 python3
pairs=(1 2 4) queues=(--queues 2)
if [ "${IFACE_TYPE:-tap}" = veth ]; then pairs=(1) queues=(); fi

pair_end() {
  local ns p
  stop "${PID[va]}"
  stop "${PID[vb]}"
  for ns in "$NS_A" "$NS_B"; do
    for p in $(ip netns pids "$ns"); do stop "$p" KILL; done
    ip netns del "$ns"
  done
}

# traffic of many flows both ways, and one whose bytes are looked at
exercise() {
  pair_wait up 40
  pair_ping
  pair_neighbours
  iperf "$NS_B" "$NS_A" 10.0.0.2 -t 1 -P 8 || fail "$1: iperf3"
  log "$1: TCP $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$TMP/iperf.json") Mbit/s"
  transfer "$NS_B" "$NS_A" 10.0.0.1 30
}

# ---- testpmd: who listens, and how many pairs ----
for role in client server; do
  for n in "${pairs[@]}"; do
    SOCK_A=$TMP/$role$n.a SOCK_B=$TMP/$role$n.b
    options=(--queues "$n")
    [ "$role" = client ] || options+=(--server)
    pair_start "${options[@]}"
    export TESTPMD_QUEUES=$n TESTPMD_CLIENT=0
    [ "$role" = client ] || TESTPMD_CLIENT=1
    testpmd_start "pmd" huge io "$SOCK_A" "$SOCK_B"
    exercise "testpmd, vubridge as $role, $n pairs"
    grep -q "$n queue pairs\\? of" "$TMP/va.log" || fail "not $n pairs: $(cat "$TMP/va.log")"
    stop "${PID[pmd]}" KILL
    pair_wait down
    testpmd_start "pmd" huge io "$SOCK_A" "$SOCK_B"
    exercise "testpmd again"
    stop "${PID[pmd]}"
    pair_wait down
    pair_end
  done
done

# ---- OVS: it connects to one vubridge and is connected to by the other ----
ovs_start
ovs_bridge br0
SOCK_A=$TMP/ovs/vhu-a SOCK_B=$TMP/vhu-b
ovs_port br0 vhu-a dpdkvhostuser
ovs_client_port br0 vhu-b "$SOCK_B"
ns_add a
ns_add b
start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0
start_vubridge vb "$NS_B" --path "$SOCK_B" --iface vnet0 --server "${queues[@]}"
wait_iface "$NS_A" vnet0
wait_iface "$NS_B" vnet0
address "$NS_A" vnet0 10.0.0.1/24 fd00::1/64
address "$NS_B" vnet0 10.0.0.2/24 fd00::2/64
exercise "OVS"
in_ns "$NS_A" ping -q -i 0.002 -s 1000 10.0.0.2 >/dev/null 2>&1 &
LIB_PIDS+=("$!")
for signal in KILL TERM KILL; do
  stop "${PID[ovs]}" "$signal"
  pair_wait down
  rm -f "$SOCK_A"
  ovs_daemon
  pair_wait up 40
  wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping after a restart of OVS by $signal"
done
exercise "OVS again"
