#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mandoc has nothing to say about the manual pages, also about their style, but what is named
# here. Needs no privileges.
set -eu -o pipefail

top=${top_srcdir:-$(dirname "$0")/../..}
allowed=(
  'outdated mandoc.db lacks'    # of this machine
  'referenced manual not found' # where our own and the others' are not installed
  'Sh CONCEPTS instead of'      # is what is meant
  'date in the future'          # of a clock that is wrong
)
if ! command -v mandoc >/dev/null; then
  echo "mandoc is missing (mandoc)"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 77
fi
pages=("$top"/man/*.[1-8])
[ ${#pages[@]} -ge 4 ] || { echo "FAILED: where are the pages?" && exit 1; }
said=$(mandoc -T lint -W style "${pages[@]}" 2>&1 || true)
for pattern in "${allowed[@]}"; do
  said=$(grep -v "$pattern" <<<"$said" || true)
done
[ -z "$said" ] || { echo "FAILED: $said" && exit 1; }
echo "${#pages[@]} pages"
