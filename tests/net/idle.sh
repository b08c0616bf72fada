#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An idle daemon with a connected backend (pair.sh, test peer): under 1 % of a core over
# five seconds, under 32 MiB of memory, also after traffic. --poll busy does not sleep.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need iperf3 iperf3

cross_start
pair_start
pair_wait up
pair_ping
iperf "$NS_B" "$NS_A" 10.0.0.2 -t 2 || fail "iperf3"
for x in "$NS_A" "$NS_B"; do # the kernel's own chatter is not idleness
  in_ns "$x" sysctl -qw net.ipv6.conf.vnet0.disable_ipv6=1
done
sleep 1
before=$(cpu_ticks "${PID[va]}")
sleep 5
used=$(($(cpu_ticks "${PID[va]}") - before))
hz=$(getconf CLK_TCK)
log "idle: $used ticks of $((5 * hz)) in 5 s, RSS $(rss_kb "${PID[va]}") KiB"
[ $((used * 100)) -le $((5 * hz)) ] || fail "an idle daemon used $used of $((5 * hz)) ticks"
[ "$(rss_kb "${PID[va]}")" -lt 32768 ] || fail "RSS is $(rss_kb "${PID[va]}") KiB"

stop "${PID[va]}"
start_vubridge va "$NS_A" --path "$SOCK_A" --iface vnet0 --poll busy
wait_iface "$NS_A" vnet0
ip -n "$NS_A" link set vnet0 up
wait_carrier "$NS_A" vnet0 up
# how often its worker has given the processor away; how much it gets is for others to say too
slept() { sed -n 's/^voluntary_ctxt_switches:[[:blank:]]*//p' "/proc/${PID[va]}/task/$1/status"; }
worker=$(worker_of "${PID[va]}")
before=$(cpu_ticks "${PID[va]}") sleeps=$(slept "$worker")
sleep 1
used=$(($(cpu_ticks "${PID[va]}") - before)) sleeps=$(($(slept "$worker") - sleeps))
log "busy: $used ticks of $hz in 1 s, slept $sleeps times"
[ "$used" -ge 3 ] && [ "$sleeps" -le 2 ] || fail "--poll busy slept: $used of $hz ticks, $sleeps times"
