#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# Tests of frames on their way, with vubridge told to do it otherwise: by a system call a frame
# instead of io_uring, and merging none.
# (offload.sh itself is of merging.)
#
# LIST: the tests to run, WAYS: the ways, a line each; some of both, and of each kind of
# interface, without. (scripts/soak ways runs all.)
. "$(dirname "$0")/lib.sh"
need_root
export RESTARTS=${RESTARTS:-20}

# way OPTIONS TEST…
way() {
  export VUBRIDGE_OPTIONS=$1
  log "with $1, ${IFACE_TYPE:-tap}:"
  run_list "$@"
}

if [ -n "${WAYS:-}" ]; then
  while read -r options; do
    # shellcheck disable=SC2086 # words
    way "$options" $LIST
  done <<<"$WAYS"
  exit
fi
way '--io plain' offload jumbo reconnect
way '--merge off' jumbo
IFACE_TYPE=veth way '--merge off' jumbo
