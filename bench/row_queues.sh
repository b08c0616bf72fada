# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Row 10: row 1 with 1, 2 and 4 queue pairs, all on the candidate's processor.

row_10() {
  for QUEUES in 1 2 4; do
    if [ -z "$QUICK" ] || [ "$QUEUES" != 2 ]; then lab queues_case; fi
  done
  QUEUES=1
}

queues_case() {
  local candidate socket=$TMP/vhost.sock case="$QUEUES queue pairs"
  generator_start "$socket" "$(traffic_file many 4 "$FOREIGN_MAC")"
  for candidate in $(chosen vubridge testpmd); do
    lab to_kernel_sample 10 "$case" "$candidate" "$socket" many 4 "$FOREIGN_MAC"
  done
}
