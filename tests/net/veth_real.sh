#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200
#
# roles_real.sh with --iface-type veth, which has one queue pair: testpmd in both roles of the
# socket, OVS-DPDK with ports of both types, restarted under traffic.
export IFACE_TYPE=veth
exec bash "$(dirname "$0")/roles_real.sh"
