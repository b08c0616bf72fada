#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# The life of vhost-net's own TAP, with the capabilities to follow it and without: vh0 down
# and up, moved to another namespace and back, deleted; one MTU at both ends of the
# link, one address in each life; queue pairs given up and taken again under traffic, and a
# device that is connected anew. The laboratory is in lab.sh.
GUEST_SECONDS=${GUEST_SECONDS:-270}
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/lab.sh"

# moved_to_c: vh0 is there, with an address
moved_to_c() {
  ip -n "$NS_A" link set vh0 netns "$NS_C"
  wait_carrier "$NS_A" vnet0 down
  address "$NS_C" vh0 10.0.0.3/24
  wait_carrier "$NS_A" vnet0 up
  carrier_is "$NS_C" vh0 up || fail "vh0 has no carrier in c"
  wait_until 10 ping_ok "$NS_A" 10.0.0.3 || fail "no ping to vh0 in c"
  wait_until 10 ping_ok "$NS_C" 10.0.0.1 || fail "no ping from vh0 in c"
}

moved_back() {
  ip -n "$NS_C" link set vh0 netns "$NS_A"
  wait_carrier "$NS_A" vnet0 down
  behind_vh0
  wait_carrier "$NS_A" vnet0 up
  wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping after vh0 came back"
}

ctl() { "$VUBCTL" -i "$TMP/va.control" "$@" >"$TMP/ctl.out" 2>&1 || fail "vubctl $*: $(cat "$TMP/ctl.out")"; }

# queues_are N: of vh0, those that the kernel uses, and those that are detached
queues_are() { [[ $(ip -n "$NS_A" -d link show vh0) == *" numqueues $1 numdisabled $((2 - $1)) "* ]]; }

# use_queues N: all flows go on
use_queues() {
  ctl set queues "$1"
  wait_until 10 queues_are "$1" || fail "queues of vh0, not $1: $(ip -n "$NS_A" -d link show vh0)"
  flows
}

# anew N: connected once more, with N pairs in use
anew() {
  local times
  times=$(log_lines va 'connected to')
  ctl reconnect
  wait_until 10 sh -c "[ \$(grep -c 'connected to' '$TMP/va.log') -gt $times ]" || fail "it does not connect anew"
  wait_carrier "$NS_A" vnet0 up
  wait_carrier "$NS_A" vh0 up
  queues_are "$1" || fail "not $1 queues after a reconnect: $(ip -n "$NS_A" -d link show vh0)"
  flows
}

mac_of() { ip -n "$NS_A" -o link show dev "$1" | grep -o 'link/ether [^ ]*'; }

lab

# ---- without a capability ----

start_va 1
# served, but not before its own TAP is up
wait_carrier "$NS_A" vnet0 down
logged 'carrier stays off: link down'
behind_vh0
wait_carrier "$NS_A" vnet0 up
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping to b"
link_follows
first=$(mac_of vh0)
[ "$first" != "$(mac_of vnet0)" ] || fail "vnet0 and vh0 have one address"

# the MTU of the other end is told, since it may not be set
ip -n "$NS_A" link set vnet0 mtu 9000
logged '^vh0: cannot take over mtu 9000 from vnet0: .*--keep-caps'
has_mtu "$NS_A" vh0 1500 || fail "the MTU of vh0 was set"
ip -n "$NS_A" link set vh0 mtu 9000
jumbo

# where its link events do not reach: the link is followed all the same
moved_to_c
[ "$(log_lines va '^vh0: the interface moved to .* may not be entered')" = 1 ] || fail "the move is not logged once"
ip -n "$NS_C" link set vh0 down
wait_carrier "$NS_A" vnet0 down
ip -n "$NS_C" link set vh0 up
wait_carrier "$NS_A" vnet0 up
ip -n "$NS_C" link set vh0 carrier off
wait_carrier "$NS_C" vh0 up
# nor is its MTU in reach
ip -n "$NS_A" link set vnet0 mtu 1500
logged '^vh0: cannot take over mtu 1500 from vnet0'
moved_back
logged '^vh0: the interface is back in sight'
kill -TERM "${PID[va]}"
end_va 0

# ---- with those to follow it ----

start_va 2 --keep-caps
behind_vh0
wait_carrier "$NS_A" vnet0 up
[ "$(mac_of vh0)" = "$first" ] || fail "another address of vh0 after a restart"

# queue pairs, while frames pass
flows_prepare
in_ns "$NS_A" ping -q -n -i 0.02 10.0.0.2 >"$TMP/traffic.log" 2>&1 &
traffic=$!
LIB_PIDS+=("$traffic")
queues_are 2 || fail "vh0 has not two queues"
use_queues 1
use_queues 2
ctl set queues 1
anew 1
ctl set queues 2
anew 2
for n in 1 2 1 2 1 2; do ctl set queues "$n"; done
wait_until 10 queues_are 2 || fail "not two queues after many changes"
wait_until 10 ping_ok "$NS_A" 10.0.0.2 || fail "no ping after many changes"
alive "$traffic" || fail "the traffic has ended: $(cat "$TMP/traffic.log")"
stop "$traffic" INT
grep -qE 'cannot|broke|disconnecting' "$TMP/va.log" && fail "something went wrong: $(cat "$TMP/va.log")"

moved_to_c
grep -q "^vh0: the interface moved to network namespace $NS_C: following" "$TMP/va.log" || fail "vh0 was not followed"
ip -n "$NS_A" link set vnet0 mtu 9000
wait_until 10 has_mtu "$NS_C" vh0 9000 || fail "an MTU that changed has not reached vh0 in c"
moved_back
grep -q '^vh0: .* moved to our own network namespace' "$TMP/va.log" || fail "vh0 was not followed home"

# deleted: the backend is lost, for good
: >"$TMP/va.log"
ip -n "$NS_A" link del vh0
end_va 1
grep -q '^vh0: .* is gone' "$TMP/va.log" || fail "no line for the end of vh0"
# where vhost-net notices before the kernel has told of it, there are two more, and never others
sooner='^vnet0: (disconnecting from /dev/vhost-net: ring: .* cannot go on with it|carrier off: backend .*)$'
others=$(grep -vE "^vh0: .* is gone|$sooner" "$TMP/va.log" || true)
[ -z "$others" ] || fail "other lines: $others"
[ "$(wc -l <"$TMP/va.log")" -le 3 ] || fail "too many lines: $(cat "$TMP/va.log")"
log "the guest took $(cut -d' ' -f1 /proc/uptime) s"
