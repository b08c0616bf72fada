#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the completion of bash offers for vubridge(8) is what `vubridge --help` has: each option,
# and the words that it takes. Needs no privileges. (That of vubctl is in vubctl_doc.sh.)
set -eu -o pipefail

VUBRIDGE=${VUBRIDGE:-$PWD/vubridge}
top=${top_srcdir:-$(dirname "$0")/../..}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vubridge-completion.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}
# offered WORD…: for the last word, a line each
offered() {
  COMP_WORDS=(vubridge "$@")
  COMP_CWORD=$#
  _vubridge || true
  [ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
}

# shellcheck source=completions/vubridge
. "$top/completions/vubridge"
"$VUBRIDGE" --help >"$tmp/text"

sed -n 's/^  \(--[^ ]*\).*/\1/p' "$tmp/text" >"$tmp/help"
[ "$(wc -l <"$tmp/help")" -gt 20 ] || fail "--help names hardly any option"
offered -- >"$tmp/offered"
diff "$tmp/help" "$tmp/offered" || fail "--help (<) and completion (>) differ"
[ "$(offered --path /tmp/sock --iface-t)" = --iface-type ] || fail "an option after a value"
[ "$(offered --persist --iface-t)" = --iface-type ] || fail "an option after one without a value"
[ "$(offered --server --iface-t)" = --iface-type ] || fail "an option after one whose value may be left out"

# the words that an option takes: "one of a, b", "0 or 1"; none where they are not named
awk '/^  --/ { name = $1 }
  /^ +one of / { sub(/^ +one of /, ""); gsub(/, /, " "); print name, $0 }
  /^ +0 or 1$/ { print name, "0 1" }' "$tmp/text" >"$tmp/values"
[ "$(wc -l <"$tmp/values")" -gt 5 ] || fail "--help names hardly any value"
while read -r name words; do
  [ "$(offered "$name" '' | grep -v '^-' | xargs)" = "$words" ] ||
    fail "$name: not '$words' but '$(offered "$name" '' | xargs)'"
  [ "$(offered "$name" = '' | grep -v '^-' | xargs)" = "$words" ] || fail "$name=: not '$words'"
  first=${words%% *}
  [ "$(offered "$name" = "${first:0:2}" | head -n 1)" = "$first" ] || fail "$name=${first:0:2} is not completed"
done <"$tmp/values"
for name in --mtu --mac --queues --iface --cpus --devargs; do
  [ -z "$(offered $name '')" ] || fail "$name: a word is offered"
done

# what is there: files, users, groups
mkdir "$tmp/folder"
: >"$tmp/folder/sock"
for name in --path --config --control; do
  [ "$(offered $name "$tmp/folder/s")" = "$tmp/folder/sock" ] || fail "$name: a file is not completed"
done
[ "$(offered --user roo)" = root ] || fail "a user is not completed"
[ "$(offered --socket-group roo)" = root ] || fail "a group is not completed"
echo "$(wc -l <"$tmp/help") options, $(wc -l <"$tmp/values") of them with words"
