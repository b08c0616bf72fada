# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Row 6, the time of a ping.
#
# "idle": through one candidate, answered by the backend (testpmd in icmpecho mode):
#
#   namespace a: ping ── vnet0 ── candidate ── socket ── net_vhost ── testpmd
#
# "beside TCP": in the laboratory of row 5, through two candidates, while iperf3 runs the
# same way. ping has the priority of a real-time task: what is measured is the way, not how
# long ping waits for a processor that the backend polls on.

row_6() {
  lab ping_idle_case
  lab ping_tcp_case
}

# The round trips of PINGS pings to an address, in ns a, as they come; µs, one a line. When too
# many are lost, it ends before it has sent all of them.
pings() {
  in_ns "$NS_A" chrt -f 2 ping -n -i "$PING_INTERVAL" -c "$PINGS" -W 1 -w 20 "$1" | tee "$TMP/pings.log" |
    sed -nE 's/.* time=([0-9.]+) ms$/\1/p' | awk '{ print $1 * 1000 }'
}

# record_pings CASE CANDIDATE FILE
record_pings() {
  local case=$1 candidate=$2 file=$3 p50 p99 n
  n=$(wc -l <"$file")
  [ "$n" -gt 0 ] || fail "no answer to ping through $candidate"
  p50=$(sort -n "$file" | sed -n "$(((n + 1) / 2))p")
  p99=$(sort -n "$file" | sed -n "$(((n * 99 + 99) / 100))p")
  record 6 "$case" "$candidate" "p50 µs" "$p50"
  record 6 "$case" "$candidate" "p99 µs" "$p99"
  record 6 "$case" "$candidate" "lost %" "$(calc "100 * ($PINGS - $n) / $PINGS")"
  say "row 6, $case: $candidate p50 $p50 µs, p99 $p99 µs, $((PINGS - n)) of $PINGS lost"
}

ping_idle_case() {
  local candidate socket=$TMP/vhost.sock
  TESTPMD_CPU=$BACKEND_CPU testpmd_start backend huge icmpecho "$socket"
  testpmd_forwards backend
  for candidate in $(chosen vubridge vubridge-busy vubridge-plain testpmd); do
    lab ping_idle_sample "$candidate" "$socket"
  done
}

ping_idle_sample() {
  ns_add a
  candidate_start "$1" "$NS_A:$2"
  address "$NS_A" vnet0 198.18.0.1/24
  wait_until 10 ping_ok "$NS_A" 198.18.0.2 || fail "no answer through $1"
  sleep "$SETTLE"
  pings 198.18.0.2 >"$TMP/pings"
  record_pings "idle" "$1" "$TMP/pings"
}

ping_tcp_case() {
  local candidate
  cross_connect ",tso=0"
  # of those that never sleep two cannot share a processor
  for candidate in $(chosen vubridge vubridge-plain vubridge-merge-off testpmd); do
    lab ping_tcp_sample "$candidate" "$TMP/a.sock" "$TMP/b.sock"
  done
}

ping_tcp_sample() {
  tcp_lab "$1" "$2" "$3"
  iperf_serve "$NS_B"
  # longer than the pings take; it ends with this sample
  start iperf-client ip netns exec "$NS_A" iperf3 -c 198.18.0.2 -p 5300 -t 120
  sleep 1
  alive "${PID[iperf-client]}" || fail "iperf3 does not run"
  pings 198.18.0.2 >"$TMP/pings" || true
  alive "${PID[iperf-client]}" || fail "iperf3 ended before ping"
  record_pings "beside TCP" "$1" "$TMP/pings"
}
