#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts/bench measures with: its frames are right, its programs count them as they
# should, its report computes what it says, and wrong arguments are refused.
. "$(dirname "$0")/lib.sh"
need python3 python3
need tcpdump tcpdump
top=${top_srcdir:-$PWD}
tools=${top_builddir:-$PWD}/bench

# ---- arguments ----

refused() {
  local status=0
  "$top/scripts/bench" "$@" >"$TMP/args" 2>&1 || status=$?
  [ "$status" = 2 ] && grep -q "$PATTERN" "$TMP/args" || fail "bench $*: status $status, $(cat "$TMP/args")"
}
PATTERN="'11' is none of" refused --rows 1,11
PATTERN="'vpp' is none of" refused --candidates=vubridge,vpp
PATTERN="a number from 1 to 999" refused --rounds 0
PATTERN="needs a value" refused --rounds
PATTERN="'fast' is not an option" refused fast
PATTERN="'--quick' takes no value" refused --quick=1
"$top/scripts/bench" --help | grep -q -- '--candidates LIST' || fail "bench --help"

# ---- frames: tcpdump finds every checksum right ----

frames_of() { python3 "$top/bench/frames.py" "$TMP/$1.pcap" "${@:2}"; }
for version in 4 6; do
  frames_of "udp$version" udp "$version" 64 16 64 02:00:00:00:00:02
  frames_of "tcp$version" tcp "$version" 1514 8 64 02:00:00:00:00:02
done
for kind in udp4 udp6 tcp4 tcp6; do
  tcpdump -nnvvr "$TMP/$kind.pcap" >"$TMP/dump" 2>/dev/null
  right=$(grep -cE 'udp sum ok|cksum 0x[0-9a-f]+ \(correct\)' "$TMP/dump")
  [ "$right" = 64 ] || fail "$kind: $right of 64 checksums are right: $(tail -n 2 "$TMP/dump")"
done
# the second packet of a flow follows the first: 8 flows in turn, 1448 bytes each
tcpdump -nnSr "$TMP/tcp4.pcap" 'tcp src port 1025' 2>/dev/null | sed -n 2p | grep -q 'seq 1449:2897' ||
  fail "sequence numbers are not consecutive"

# ---- programs: superframes of 60 datagrams, of which each is counted, and each arrives ----

need_root
frames_of super udp 4 64 8 64 02:00:00:00:00:02 60
ns_add k
start floor ip netns exec "$NS_K" "$tools/tap_floor" vnet0 write "$TMP/super.pcap"
wait_iface "$NS_K" vnet0
ip -n "$NS_K" link set vnet0 address 02:00:00:00:00:02
start sink ip netns exec "$NS_K" "$tools/udp_sink" 9000
wait_until 5 grep -q ready "$TMP/sink.log" || fail "udp_sink does not listen"
address "$NS_K" vnet0 198.18.0.2/24
sleep 0.5
ip -n "$NS_K" link set vnet0 down
kill -USR1 "${PID[floor]}"
wait_until 5 grep -q '^frames' "$TMP/floor.log" || fail "tap_floor says nothing"
written=$(sed -nE 's/^frames ([0-9]+) .*/\1/p' "$TMP/floor.log" | tail -n 1)
packets=$(in_ns "$NS_K" cat /sys/class/net/vnet0/statistics/rx_packets)
[ "$packets" -gt 0 ] && [ "$written" = $((packets * 60)) ] ||
  fail "$written frames counted in $packets superframes of 60"
stop "${PID[sink]}"
received=$(sed -n 's/^datagrams //p' "$TMP/sink.log")
[ "$received" -gt 0 ] && [ $((received % 60)) = 0 ] && [ "$received" -le "$written" ] ||
  fail "$received datagrams of $written received"
stop "${PID[floor]}"

# The other way: what packet_send hands over, tap_floor reads, again as frames of the wire.
in_ns "$NS_K" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 # nothing else shall be sent
: >"$TMP/floor.log"
start floor ip netns exec "$NS_K" "$tools/tap_floor" vnet1 read
wait_iface "$NS_K" vnet1
ip -n "$NS_K" link set vnet1 up
start sender ip netns exec "$NS_K" "$tools/packet_send" vnet1 "$TMP/super.pcap" 50 50
sleep 0.5
stop "${PID[sender]}"
sleep 0.2
kill -USR1 "${PID[floor]}"
wait_until 5 grep -q '^frames' "$TMP/floor.log" || fail "tap_floor says nothing"
read_frames=$(sed -nE 's/^frames ([0-9]+) .*/\1/p' "$TMP/floor.log" | tail -n 1)
packets=$(in_ns "$NS_K" cat /sys/class/net/vnet1/statistics/tx_packets)
log "$written frames written, $received received; $read_frames read in $packets packets"
# before Linux 6.2 a TAP takes no such superframes, and the kernel cuts them
[ "$packets" -gt 0 ] && { [ "$read_frames" = $((packets * 60)) ] || [ "$read_frames" = "$packets" ]; } ||
  fail "$read_frames frames counted in $packets packets"

# ---- flame graph ----

flame() { python3 "$top/bench/flame.py" "$@"; }
printf '%s\n' 'worker  1 [001] 1.0: cpu-clock:' '	ffff01 tun_get_user+0x1 ([kernel.kallsyms])' \
  '	5501 <run>+0x2 (/usr/bin/vubridge)' '' 'worker  1 [001] 1.1: cpu-clock:' \
  '	5501 <run>+0x9 (/usr/bin/vubridge)' '' | flame 'a & b' >"$TMP/flame.svg" || fail "flame.py"
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$TMP/flame.svg" ||
  fail "no XML: $(cat "$TMP/flame.svg")"
for text in 'a &amp; b: 2 samples' '&lt;run&gt;: 100.0 %' 'tun_get_user: 50.0 %'; do
  grep -qF "$text" "$TMP/flame.svg" || fail "no '$text' in $(cat "$TMP/flame.svg")"
done
if flame x </dev/null 2>/dev/null; then fail "a flame graph of nothing"; fi

# ---- report ----

mkdir "$TMP/report"
sample() {
  printf '{"round": %s, "row": "%s", "case": "%s", "candidate": "%s", "metric": "%s", "value": %s}\n' "$@" \
    >>"$TMP/report/samples.jsonl"
}
for round in 1 2 3; do
  sample $round 1 early testpmd frames/s $((1000 * round))
  sample $round 1 early vubridge frames/s $((2500 * round))
  sample $round 1 early floor frames/s 6000
  # the median is 5 times testpmd's, the worst round 2 times
  sample $round 3 early testpmd frames/s 1000
  sample $round 3 early vubridge "frames/s" "$([ $round = 2 ] && echo 2000 || echo 5000)"
  sample $round 1 early vubridge "waited %" $((2 * round))
  # an aim beside nothing, and one whose other side is not there
  sample $round 5 'no TSO' testpmd retransmits/GB 0
  sample $round 5 'no TSO' vubridge retransmits/GB 7
  sample $round 5 'TSO' vubridge retransmits/GB 7
done
speed=$("$tools/speed") && [[ $speed =~ ^[0-9]+\.[0-9]+$ ]] && [[ ! $speed =~ ^0\.0 ]] || fail "speed: '$speed'"
printf '%s\n' '0 2.00' '1 4.00' '0 3.00' '1 8.00' '0 7.00' >"$TMP/report/speeds"
python3 "$top/bench/report.py" "$TMP/report" --arguments=--quick >/dev/null 2>&1 || fail "report.py"
has() { grep -qF -- "$1" "$TMP/report/table.md" || fail "no '$1' in $(cat "$TMP/report/table.md")"; }
has '| vubridge | 5 000 | 2 500 | 7 500 | 2.50 | ≥ 2 × testpmd: 2.50, met; ≥ 0.95 × floor: 0.83, **not met** |'
has '| vubridge | 5 000 | 2 000 | 5 000 | 5.00 | ≥ 5 × testpmd, each round: 2.00, **not met** |'
has '| retransmits/GB | vubridge | 7.00 | 7.00 | 7.00 |  | ≤ 1 × testpmd: **not met** |'
has '| TSO | retransmits/GB | vubridge | 7.00 | 7.00 | 7.00 |  | ≤ 1 × testpmd: not measured |'
has 'disturbed: row 1, early: vubridge in round 2 waited 4.0 %'
if grep -q 'round 1 waited' "$TMP/report/table.md"; then fail "2 % are no disturbance"; fi
has '| additions a nanosecond | processor 0 3.00 (2.00 to 7.00); processor 1 6.00 (4.00 to 8.00) |'
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$TMP/report/results.json" || fail "results.json"
line='| 1. early | frames/s | 5 000 (2 500 to 7 500) | 2 000 | 6 000 |  | 2.50 | ≥ 2 × testpmd: 2.50, met; '
grep -qF "$line" "$TMP/report/summary.md" || fail "no '$line' in $(cat "$TMP/report/summary.md")"
if command -v gnuplot >/dev/null; then
  grep -q '2.50 ×' "$TMP/report/overview.svg" || fail "the overview has no 2.50 ×"
fi
