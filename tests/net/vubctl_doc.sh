#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `vubctl help`, its manual page and the completion of bash know the same verbs, settings and
# options. Needs no privileges.
set -eu -o pipefail

VUBCTL=${VUBCTL:-$PWD/vubctl}
top=${top_srcdir:-$(dirname "$0")/../..}
man=$top/man/vubctl.8
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vubctl-doc.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}

# complete WORD…: what bash would offer for the last word
complete_words() {
  COMP_WORDS=(vubctl "$@")
  COMP_CWORD=$#
  _vubctl
  printf '%s\n' "${COMPREPLY[@]}"
}
# same WHAT: the files help, man and completion have the same lines
same() {
  [ "$(wc -l <"$tmp/help")" -gt 1 ] || fail "$1: help names hardly any"
  diff "$tmp/help" "$tmp/man" || fail "$1: help (<) and the manual page (>) differ"
  diff "$tmp/help" "$tmp/completion" || fail "$1: help (<) and completion (>) differ"
}

"$VUBCTL" help >"$tmp/text"
# shellcheck source=completions/vubctl
. "$top/completions/vubctl"

sed -nE 's/^  ([a-z]+)( .*)?$/\1/p' "$tmp/text" >"$tmp/help"
sed -n '/^\.Ss Verbs/,/^\.Sh/s/^\.It Cm \([a-z]*\).*/\1/p' "$man" >"$tmp/man"
complete_words '' >"$tmp/completion"
same verbs

sed -nE 's/^  -([a-zA-Z]), (--[a-z]+).*/-\1\n\2/p' "$tmp/text" | sort >"$tmp/help"
sed -nE '/^\.Ss Options/,/^\.El/s/^\.It Fl ([a-zA-Z]) , -([a-z]+).*/-\1\n--\2/p' "$man" | sort >"$tmp/man"
complete_words - | sort >"$tmp/completion"
same options

"$VUBCTL" help set | grep -o '{.*}' | tr -d '{ }' | tr '|' '\n' >"$tmp/help"
sed -n 's/^\.It Cm set Brq Cm \(.*\) Ar VALUE.*/\1/p' "$man" | tr -d ' ' | tr '|' '\n' >"$tmp/man"
complete_words set '' >"$tmp/completion"
same settings

[ "$(complete_words set mtu 9000 po)" = poll ] || fail "the second setting is not completed"
[ "$(complete_words -j -i vnet0 set poll b)" = busy ] || fail "a value is not completed"
"$VUBCTL" help capture | grep -o '\--[a-z]*' | sort >"$tmp/help"
sed -n 's/^\.It Cm capture //p' "$man" | grep -o 'Fl -[a-z]*' | sed 's/^Fl /-/' | sort >"$tmp/man"
complete_words capture file - | sort >"$tmp/completion"
same "options of capture"
[ "$(complete_words capture file --direction r)" = rx ] || fail "a direction is not completed"
[ "$(complete_words link d)" = down ] || fail "link is not completed"
[ -z "$(complete_words set mtu '')" ] || fail "a number is completed"
echo "help, manual page and completion agree"
