#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# The kernel's own vhost-net serves the device, with one queue pair and with two, with and
# without mergeable buffers: ping and TCP both ways with small, large, jumbo and segmentation
# frames; an orderly end. The laboratory is in lab.sh.
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/lab.sh"

# frames_of QUEUE: its last count
frames_of() { grep -oE "$1: frames [0-9]+" "$TMP/va.log" | tail -n 1 | cut -d' ' -f3; }

lab

# ---- one pair ----

start_va 1
behind_vh0
wait_carrier "$NS_A" vnet0 up
carrier_is "$NS_A" vh0 up || fail "vh0 has no carrier"
grep -q 'connected to /dev/vhost-net: 1 queue pair .* MRG_RXBUF EVENT_IDX VERSION_1' "$TMP/va.log" ||
  fail "the features: $(cat "$TMP/va.log")"
for feature in CSUM GUEST_CSUM GUEST_TSO4 GUEST_TSO6 HOST_TSO4 HOST_TSO6; do
  grep -qw "$feature" "$TMP/va.log" || fail "without $feature"
done
traffic 18 1472 8000
kill -TERM "${PID[va]}"
end_va 0

# ---- without mergeable buffers each has room for the longest frame ----

start_va 1 --mrg-rxbuf 0
behind_vh0
wait_carrier "$NS_A" vnet0 up
grep 'connected to' "$TMP/va.log" | grep -q MRG_RXBUF && fail "MRG_RXBUF in spite of --mrg-rxbuf 0"
traffic 8000
kill -TERM "${PID[va]}"
end_va 0

# ---- two pairs ----

start_va 2 --mtu 9000 --keep-caps
has_mtu "$NS_A" vh0 9000 || fail "--mtu has not reached vh0"
behind_vh0
wait_carrier "$NS_A" vnet0 up
logged 'connected to /dev/vhost-net: 2 queue pairs'
ip -n "$NS_A" -d link show vh0 | grep -q 'numqueues 2' || fail "vh0 has not two queues"
jumbo
ip -n "$NS_A" link set vnet0 mtu 1500
wait_until 10 has_mtu "$NS_A" vh0 1500 || fail "an MTU that changed has not reached vh0"
traffic 56
# flows enough for both pairs
flows_prepare
flows
counters txq >/dev/null
for queue in rxq0 rxq1 txq0 txq1; do
  [ "$(frames_of "$queue")" -gt 0 ] || fail "$queue carried nothing"
done
kill -TERM "${PID[va]}"
end_va 0
log "the guest took $(cut -d' ' -f1 /proc/uptime) s"
