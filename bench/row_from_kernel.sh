# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Row 4, kernel → backend: what is sent by the interface arrives in the ring.
#
#   packet_send ── vnet0 (namespace k) ── candidate ── socket ── net_vhost ── testpmd (rxonly)
#
# The sender hands superframes to the interface, as applications with large writes do. Where
# the interface takes them, they reach the candidate whole ("GSO"), else the kernel cuts them
# before. "single": its segmentation is switched off, so that each candidate gets single
# frames, and nearly as cheaply made, which matters: a sender of single frames, on half a
# processor, would be slower than the candidates.
#
# Backend and sender share a processor in slices of SLICE_US. What counts is what the
# backend received; it takes no superframes.
SLICE_US=50

row_4() {
  lab from_kernel_case many GSO single
  # single frames cost the same in one flow as in many
  if [ -n "$QUICK" ]; then lab from_kernel_case one GSO; else lab from_kernel_case one GSO single; fi
  lab from_kernel_case tcp GSO single
}

declare -A FROM_KERNEL_NAME=([many]="64 B, 512 flows" [one]="64 B, one flow" [tcp]="1514 B, 8 TCP flows")

# from_kernel_case TRAFFIC GSO|single…
from_kernel_case() {
  local traffic=$1 candidate gso socket=$TMP/vhost.sock
  shift
  TESTPMD_CPU=$BACKEND_CPU testpmd_start backend huge rxonly "$socket"
  testpmd_forwards backend
  for gso in "$@"; do
    for candidate in $(chosen vubridge vubridge-plain vubridge-offload-off testpmd floor ring); do
      # it makes its own frames, all single
      if [ "$candidate $gso" != "ring GSO" ]; then
        lab from_kernel_sample "$traffic" "$gso" "$candidate" "$socket"
      fi
    done
  done
}

from_kernel_sample() {
  local traffic=$1 gso=$2 candidate=$3 socket=$4 case="${FROM_KERNEL_NAME[$1]}, $2"
  ns_add k
  case $candidate in
  ring) ring_candidate "k:$socket" txonly --txpkts="$(cut -d' ' -f2 <<<"${TRAFFIC[$traffic]}")" ;;
  floor) floor_start read ;;
  *) candidate_start "$candidate" "$NS_K:$socket" ;;
  esac
  if [ "$candidate" != ring ]; then
    if [ "$gso" = single ]; then segmentation_off; fi
    start sender ip netns exec "$NS_K" taskset -c "$BACKEND_CPU" chrt -f 1 "$BENCH_BUILD/packet_send" \
      vnet0 "$(traffic_file "$traffic" 4 "$FOREIGN_MAC" super)" "$SLICE_US" "$SLICE_US"
  fi
  sleep "$SETTLE"
  case $candidate in
  floor) floor_measure 4 "$case" floor ;;
  *) from_kernel_measure "$case" "$candidate" ;;
  esac
}

segmentation_off() {
  in_ns "$NS_K" ethtool -K vnet0 tso off tx-udp-segmentation off gso off >/dev/null 2>&1 || true
}

# frames that the interface dropped because nobody took them in time
overflows() { in_ns "$NS_K" cat /sys/class/net/vnet0/statistics/tx_dropped 2>/dev/null || echo 0; }

from_kernel_measure() {
  local case=$1 candidate=$2 rate dropped start us waited
  dropped=$(overflows)
  testpmd_stats backend 1
  start=$(now_us) waited=$(waited_ns_of "${CANDIDATE_PIDS[@]}")
  sleep "$DURATION"
  testpmd_stats backend 1
  us=$(($(now_us) - start)) waited=$(($(waited_ns_of "${CANDIDATE_PIDS[@]}") - waited))
  dropped=$(($(overflows) - dropped))
  rate=${STATS[0.Rx-pps]}
  [ "$rate" -gt 0 ] || fail "nothing came from $candidate"
  record 4 "$case" "$candidate" "frames/s" "$rate"
  record 4 "$case" "$candidate" "overflows/s" "$(calc "$dropped * 1e6 / $us")"
  record 4 "$case" "$candidate" "waited %" "$(calc "$waited / $us / 10")"
  say "row 4, $case: $candidate $(calc "$rate / 1e6") M frames/s, $dropped overflows," \
    "waited $(calc "$waited / $us / 10") %"
}
