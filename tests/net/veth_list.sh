#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
#
# The TAP's tests with --iface-type veth: each as it is, or in part where it is long and the
# kind of interface matters little.
#
# LIST: the tests to run, all of them without. (life.sh does both kinds, veth_real.sh the real
# peers, queues.sh is of several pairs, existing.sh of TAPs.)
. "$(dirname "$0")/lib.sh"
need_root
export IFACE_TYPE=veth
# of misbehave.sh those that reach a frame, its header, and the ring
export LIES='used-jump used-len-over num-buffers-over hdr-csum hdr-gso scribble'
export RESTARTS=100 FLOOD=2000
# AddressSanitizer keeps what was freed for a while
[ "${SANITIZERS:-no}" = no ] || export RSS_SLACK_KB=300000

# shellcheck disable=SC2086 # words
run_list 'a veth' ${LIST:-carrier jumbo config handshake misbehave server reconnect netns privileges seccomp idle}
