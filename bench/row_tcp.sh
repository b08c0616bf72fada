# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Rows 5 and 7, TCP between two namespaces through two candidates and a switch:
#
#   namespace a                                                    namespace b
#   iperf3 ── vnet0 ── candidate ── socket ── backend ── socket ── candidate ── vnet0 ── iperf3
#
# Both candidates share one processor (testpmd: both pairs of ports in one process, on one
# forwarding core), backend and iperf3 the other. Backends: testpmd with two net_vhost ports
# in io mode, without and with TSO, and OVS-DPDK as it comes, without.
#
# net_vhost with TSO needs legacy-ol-flags=1: what it finds in a received virtio-net header is
# then marked as io mode can pass it on, and superframes stay superframes.

row_5() {
  lab tcp_case "no TSO" ",tso=0"
  lab tcp_case "TSO" ",tso=1,legacy-ol-flags=1"
  if [ -z "$QUICK" ]; then lab tcp_case_ovs; fi
}

# The same runs; the report leaves out what was not asked for.
row_7() {
  case " $ROWS " in *" 5 "*) ;; *) row_5 ;; esac
}

cross_connect() {
  TESTPMD_VHOST=$1 TESTPMD_CPU=$BACKEND_CPU testpmd_start backend huge io "$TMP/a.sock" "$TMP/b.sock"
  testpmd_forwards backend
}

tcp_case() {
  cross_connect "$2"
  tcp_candidates "$1" "$TMP/a.sock" "$TMP/b.sock"
}

tcp_case_ovs() {
  OVS_CPU=$BACKEND_CPU ovs_start
  ovs_bridge br0
  ovs_port br0 vhu-a dpdkvhostuser
  ovs_port br0 vhu-b dpdkvhostuser
  tcp_candidates "OVS-DPDK" "$TMP/ovs/vhu-a" "$TMP/ovs/vhu-b"
}

tcp_candidates() {
  local candidate
  for candidate in $(chosen vubridge vubridge-plain vubridge-merge-off vubridge-offload-off testpmd); do
    lab tcp_sample "$1" "$candidate" "$2" "$3"
  done
}

# tcp_lab CANDIDATE SOCKET-A SOCKET-B: both namespaces, which reach each other
tcp_lab() {
  local candidate=$1
  ns_add a
  ns_add b
  candidate_start "$candidate" "$NS_A:$2" "$NS_B:$3"
  address "$NS_A" vnet0 198.18.0.1/24
  address "$NS_B" vnet0 198.18.0.2/24
  wait_until 10 ping_ok "$NS_A" 198.18.0.2 || fail "no way through $candidate"
}

tcp_sample() {
  local case=$1 candidate=$2
  tcp_lab "$candidate" "$3" "$4"
  sleep "$SETTLE"
  tcp_run "$case, forward" "$candidate"
  tcp_run "$case, reverse" "$candidate" --reverse
  if [ -n "$PROFILE" ]; then
    iperf "$NS_B" "$NS_A" 198.18.0.2 -t 4 &
    sleep 1
    profile 5 "$case" "$candidate"
    wait $!
  fi
}

tcp_run() {
  local case=$1 candidate=$2 gigabytes rate lost machine candidates
  shift 2
  machine=$(machine_ns) candidates=$(cpu_ns_of "${CANDIDATE_PIDS[@]}")
  iperf "$NS_B" "$NS_A" 198.18.0.2 -t "$TCP_SECONDS" "$@" || fail "iperf3"
  machine=$(($(machine_ns) - machine)) candidates=$(($(cpu_ns_of "${CANDIDATE_PIDS[@]}") - candidates))
  read -r gigabytes rate lost < <(python3 -c '
import json, sys
end = json.load(sys.stdin)["end"]
received = end["sum_received"]
print(received["bytes"] / 1e9, received["bits_per_second"] / 1e9, end["sum_sent"].get("retransmits", 0))
' <"$TMP/iperf.json")
  record 5 "$case" "$candidate" "Gbit/s" "$rate"
  record 5 "$case" "$candidate" "retransmits/GB" "$(calc "$lost / $gigabytes")"
  record 7 "$case" "$candidate" "s/GB, all" "$(calc "$machine / 1e9 / $gigabytes")"
  record 7 "$case" "$candidate" "s/GB, candidates" "$(calc "$candidates / 1e9 / $gigabytes")"
  say "row 5, $case: $candidate $(calc "$rate") Gbit/s, $lost retransmits," \
    "$(calc "$machine / 1e9 / $gigabytes") s of processor/GB, $(calc "$candidates / 1e9 / $gigabytes") of them its own"
}
