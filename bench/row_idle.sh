# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Row 8, an idle candidate: its processor time, its memory (with huge pages), and how long it
# takes from its start until the interface has carrier. testpmd's TAP has carrier before
# testpmd forwards anything; that is its own affair.
#
# The start's backend is that of the tests, which sleeps: testpmd's thread that answers would wait
# for the one that polls, and make the memory that it is told of resident before it answers.

row_8() { lab idle_case; }

idle_case() {
  local candidate socket=$TMP/vhost.sock
  TESTPMD_CPU=$BACKEND_CPU testpmd_start backend huge rxonly "$socket"
  testpmd_forwards backend
  for candidate in $(chosen vubridge vubridge-plain testpmd); do
    lab idle_sample "$candidate" "$socket"
    lab carrier_sample "$candidate"
  done
}

idle_sample() {
  local candidate=$1 before start used memory
  ns_add k
  in_ns "$NS_K" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 # it would chatter
  candidate_start "$candidate" "$NS_K:$2"
  sleep "$SETTLE"
  start=$(now_us) before=$(cpu_ns_of "${CANDIDATE_PIDS[@]}")
  sleep "$IDLE_SECONDS"
  used=$(calc "($(cpu_ns_of "${CANDIDATE_PIDS[@]}") - $before) / 10 / ($(now_us) - $start)")
  memory=$(awk '/^VmRSS:|^HugetlbPages:/ { n += $2 } END { print n / 1024 }' "/proc/${CANDIDATE_PIDS[0]}/status")
  record 8 "idle" "$candidate" "processor %" "$used"
  record 8 "idle" "$candidate" "memory MiB" "$memory"
  say "row 8, idle: $candidate $used % of a processor, $memory MiB"
}

carrier_sample() {
  local candidate=$1 socket=$TMP/sleeps.sock command ms
  ns_add k
  start_peer sleeps --socket "$socket" --mode sink
  case $candidate in
  vubridge*)
    # shellcheck disable=SC2206 # its options are words
    command=("$VUBRIDGE" --path "$socket" --iface vnet0 --cpus "$CANDIDATE_CPU" ${VUBRIDGE_OPTIONS[$candidate]})
    ;;
  testpmd)
    # shellcheck disable=SC2054 # the commas are meant
    command=(dpdk-testpmd --lcores "0@$CANDIDATE_CPU,1@$CANDIDATE_CPU" --no-pci --in-memory
      --single-file-segments -m 256 --file-prefix "vut$$carrier"
      --vdev "net_virtio_user0,path=$socket,queue_size=$QUEUE_SIZE" --vdev net_tap0,iface=vnet0 --
      -i --auto-start --total-num-mbufs=16384)
    ;;
  esac
  ms=$(in_ns "$NS_K" python3 "$BENCH_DIR/carrier_time.py" vnet0 taskset -c "$CANDIDATE_CPU" "${command[@]}" \
    2>"$TMP/carrier.log") || fail "no carrier by $candidate"
  record 8 "start" "$candidate" "carrier ms" "$ms"
  say "row 8, start: $candidate has carrier after $ms ms"
}
