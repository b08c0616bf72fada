#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# The tests of backends that misbehave, on the socket, in the rings, and in what they say of
# their configuration, with vubridge as the server: a backend is greeted there, and is let in by
# its first answer; after one that was lost nothing is tried by a timer.
#
# LIST: the tests to run, all of them without. (server.sh has what only a server does.)
. "$(dirname "$0")/lib.sh"
need_root
export ROLE=server

# shellcheck disable=SC2086 # words
run_list 'the backend as client' ${LIST:-handshake misbehave config}
