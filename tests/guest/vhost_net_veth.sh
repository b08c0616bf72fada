#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# The kernel's vhost-net bridged to a veth: ping and TCP both ways, the link, an MTU that
# changes, an orderly end. The laboratory is in lab.sh; vnet0 in ns a is a pair's user's end.
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/lab.sh"
IFACE_TYPE=veth

lab
start_va 1
ip -n "$NS_A" -d link show vnet0 | grep -qw veth || fail "vnet0 is not a veth"
behind_vh0
wait_carrier "$NS_A" vnet0 up
carrier_is "$NS_A" vh0 up || fail "vh0 has no carrier"
traffic 18 1472 8000
link_follows

# a veth's privileges are enough for it
ip -n "$NS_A" link set vnet0 mtu 9000
wait_until 10 has_mtu "$NS_A" vh0 9000 || fail "an MTU that changed has not reached vh0"
jumbo
kill -TERM "${PID[va]}"
end_va 0
log "the guest took $(cut -d' ' -f1 /proc/uptime) s"
