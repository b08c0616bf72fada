# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Rows 1 to 3, backend → kernel: a generator's frames come out of the interface.
#
#   net_pcap ── testpmd ── net_vhost ── socket ── candidate ── vnet0 (namespace k)
#
# "early": their MAC is another host's, so the stack drops them first thing. "delivered":
# UDP reaches a socket whose reader shares the generator's processor; TCP is routed and then
# dropped by a rule, since behind replayed segments there is no connection.
#
# What counts is what the ring took of the generator (net_vhost's TX-packets) without what
# the candidate lost: the interface's own counters have superframes as one packet.

row_1() { to_kernel 1 many; }
row_2() { to_kernel 2 one; }
row_3() { to_kernel 3 tcp; }

# to_kernel ROW TRAFFIC
to_kernel() {
  lab to_kernel_case "$1" "early" "$2" 4 "$FOREIGN_MAC"
  lab to_kernel_case "$1" "delivered" "$2" 4 "$TAP_MAC"
  if [ -z "$QUICK" ]; then lab to_kernel_case "$1" "early, IPv6" "$2" 6 "$FOREIGN_MAC"; fi
}

# The generator serves all candidates of a case, one after the other.
to_kernel_case() {
  local row=$1 case=$2 traffic=$3 version=$4 mac=$5 candidate socket=$TMP/vhost.sock
  local candidates=(vubridge vubridge-plain vubridge-merge-off vubridge-offload-off testpmd)
  if [ -z "$QUICK" ] || [ "$case" = early ]; then candidates+=(floor); fi
  # many flows of which a batch has a frame each cannot be merged
  if [ "$traffic" != many ]; then candidates+=(floor-super); fi
  if [ "$case" = early ]; then candidates+=(ring); fi
  generator_start "$socket" "$(traffic_file "$traffic" "$version" "$mac")"
  for candidate in $(chosen "${candidates[@]}"); do
    lab to_kernel_sample "$row" "$case" "$candidate" "$socket" "$traffic" "$version" "$mac"
  done
}

# generator_start SOCKET FILE: replays FILE, as a queue pair each has it
generator_start() {
  local socket=$1 file=$2 i pcap=net_pcap0
  for ((i = 0; i < QUEUES; i++)); do pcap+=",rx_pcap=$file"; done
  # shellcheck disable=SC2034 # of peers.sh
  TESTPMD_VDEVS=("$pcap,infinite_rx=1")
  TESTPMD_QUEUES=$QUEUES TESTPMD_CPU=$BACKEND_CPU testpmd_start generator huge io "$socket"
  testpmd_forwards generator
  in_background generator
}

to_kernel_sample() {
  local row=$1 case=$2 candidate=$3 socket=$4 traffic=$5 version=$6 mac=$7
  ns_add k
  case $candidate in
  floor) floor_start write "$(traffic_file "$traffic" "$version" "$mac")" ;;
  floor-super) floor_start write "$(traffic_file "$traffic" "$version" "$mac" super)" ;;
  *) candidate_start "$candidate" "$NS_K:$socket" ;;
  esac
  if [ "$case" = delivered ]; then sink_start; fi
  if [ "$candidate" != ring ]; then ip -n "$NS_K" link set vnet0 address "$TAP_MAC"; fi
  sleep "$SETTLE"
  case $candidate in
  floor*) floor_measure "$row" "$case" "$candidate" ;;
  *)
    to_kernel_measure "$row" "$case" "$candidate"
    profile "$row" "$case" "$candidate"
    ;;
  esac
}

to_kernel_measure() {
  local row=$1 case=$2 candidate=$3 lost took offered start us rate waited
  lost=$(candidate_lost "$candidate")
  testpmd_stats generator 2
  start=$(now_us) waited=$(waited_ns_of "${CANDIDATE_PIDS[@]}")
  took=${STATS[1.TX-packets]} offered=${STATS[0.RX-packets]}
  sleep "$DURATION"
  testpmd_stats generator 2
  us=$(($(now_us) - start)) waited=$(($(waited_ns_of "${CANDIDATE_PIDS[@]}") - waited))
  took=$((${STATS[1.TX-packets]} - took)) offered=$((${STATS[0.RX-packets]} - offered))
  rate=${STATS[1.Tx-pps]}
  lost=$(($(candidate_lost "$candidate") - lost))
  if [ "$lost" -lt 0 ]; then lost=0; fi # it had some in hand before
  [ "$took" -gt 0 ] || fail "$candidate took no frames"
  rate=$(calc "$rate - $lost * 1e6 / $us")
  record "$row" "$case" "$candidate" "frames/s" "$rate"
  record "$row" "$case" "$candidate" "offered/taken" "$(calc "$offered / $took")"
  record "$row" "$case" "$candidate" "waited %" "$(calc "$waited / $us / 10")"
  say "row $row, $case: $candidate $(calc "$rate / 1e6") M frames/s, $lost lost," \
    "$(calc "$offered / $took") times as many offered, waited $(calc "$waited / $us / 10") %"
}

# A UDP socket and its reader; for TCP a rule that drops it, before that of local addresses.
sink_start() {
  local a
  for a in "${TAP_ADDRESSES[@]}"; do ip -n "$NS_K" addr add "$a" dev vnet0; done
  for a in -4 -6; do
    ip -n "$NS_K" "$a" rule add pref 2 lookup "local"
    ip -n "$NS_K" "$a" rule add pref 1 iif vnet0 ipproto tcp blackhole
    ip -n "$NS_K" "$a" rule del pref 0
  done
  start sink ip netns exec "$NS_K" taskset -c "$BACKEND_CPU" "$BENCH_BUILD/udp_sink" 9000
  wait_until 5 grep -q ready "$TMP/sink.log" || fail "udp_sink does not listen"
}

# ---- the floor ----

# floor_start write FILE | read: in namespace k
floor_start() {
  start floor ip netns exec "$NS_K" taskset -c "$CANDIDATE_CPU" "$BENCH_BUILD/tap_floor" vnet0 "$@"
  wait_iface "$NS_K" vnet0
  ip -n "$NS_K" link set vnet0 up
  CANDIDATE_PIDS=("${PID[floor]}")
}

# floor_count: "FRAMES NANOSECONDS"
floor_count() {
  local lines
  lines=$(log_lines floor '^frames')
  kill -USR1 "${PID[floor]}"
  wait_until 5 floor_counted "$lines" || fail "tap_floor does not answer"
  sed -nE 's/^frames ([0-9]+) nanoseconds ([0-9]+)$/\1 \2/p' "$TMP/floor.log" | tail -n 1
}
floor_counted() { [ "$(log_lines floor '^frames')" -gt "$1" ]; }

floor_measure() {
  local before after rate
  before=$(floor_count)
  sleep "$DURATION"
  after=$(floor_count)
  rate=$(calc "(${after% *} - ${before% *}) * 1e9 / (${after#* } - ${before#* })")
  record "$1" "$2" "$3" "frames/s" "$rate"
  say "row $1, $2: $3 $(calc "$rate / 1e6") M frames/s"
}
