#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# The real peers with --iface-type veth, which has one queue pair: testpmd in both roles of the
# socket, OVS-DPDK with ports of both types, restarted under traffic (roles_real.sh); frames from
# 60 to 9018 bytes, VLAN tags, TCP and UDP through OVS-DPDK (ovs.sh). testpmd.sh and
# reconnect_real.sh, which take minutes, are run with a veth by scripts/soak.
#
# LIST: the tests to run, both of them without.
. "$(dirname "$0")/lib.sh"
need_root
export IFACE_TYPE=veth TRANSFER_MIB=${TRANSFER_MIB:-100}

# shellcheck disable=SC2086 # words
run_list 'a veth' ${LIST:-roles_real ovs}
