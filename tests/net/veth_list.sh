#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
#
# The TAP's tests with --iface-type veth. All lies are told; restarts and those who connect and go
# are fewer. Left out, and why:
#
#   life, queues, existing, veth     do both kinds, are of several pairs, of TAPs, of veths alone
#   testpmd, ovs, roles_real,        real peers: veth_real.sh, and scripts/soak
#   reconnect_real
#   control, vubctl, capture         begin with two queue pairs, of which a veth has one; they are
#                                    of the control socket, which does not know the kind
#   log                              begins with a TAP of its user's; it is of the log
#   signals                          of a TAP that exists, in part; it is of the process
#   the rest                         starts no vubridge, or has units and services of its own
#
# LIST: the tests to run, all of them without.
. "$(dirname "$0")/lib.sh"
need_root
export IFACE_TYPE=veth
export RESTARTS=100 FLOOD=2000
all='carrier jumbo offload config handshake misbehave server reconnect reload netns privileges seccomp idle'
# shellcheck disable=SC2086 # words
run_list 'a veth' ${LIST:-$all}
