#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# Large frames on the laboratory of pair.sh with the test peer: MTU 9000 and 65521, and TCP in
# frames of 64 KiB; with mergeable buffers and without, VERSION_1 and the legacy layouts.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3

pair_start
lengths="60 1514 2036 2037 9014 30000 40000 65000 65535"

layout() {
  cross_start "$@"
  pair_wait up
  pair_mtu 65521
  # shellcheck disable=SC2086
  frames "$NS_A" "$NS_B" vnet0 $lengths
  pair_mtu 9000
  pair_ping
  transfer "$NS_A" "$NS_B" 10.0.0.2 100
  pair_mtu 1500
  transfer "$NS_B" "$NS_A" fd00::1 100
  log "$(grep -oE 'descriptors, .*' "$TMP/va.log" | tail -n 1)"
  stop "${PID[peer]}"
  pair_wait down
}

layout
layout --no-feature MRG_RXBUF
layout --no-feature VERSION_1
layout --no-feature VERSION_1 --no-feature ANY_LAYOUT
layout --no-feature VERSION_1 --no-feature ANY_LAYOUT --no-feature MRG_RXBUF --no-feature EVENT_IDX
layout --no-feature CSUM --no-feature GUEST_CSUM --no-feature PROTOCOL_FEATURES

# 64 KiB superframes did go through: far fewer frames than segments
kill -USR1 "${PID[va]}"
wait_until 2 grep -q txq0: "$TMP/va.log" || fail "no counters"
grep -E 'rxq0|txq0|overflow' "$TMP/va.log"
awk '/txq0:/ { for (i = 1; i < NF; i++) { if ($i == "frames") f = $(i + 1); if ($i == "bytes") b = $(i + 1) } }
  END { exit !(b / f > 4000) }' "$TMP/va.log" || fail "no large frames were sent"
