#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The parser, --help and the manual page must tell the same story: the same
# options in the same order, with the same values, limits and defaults. Needs no
# privileges and opens nothing.
#
#   VUBRIDGE  the program, by default $top_builddir/vubridge

set -u
LC_ALL=C
export LC_ALL
unset JOURNAL_STREAM

here=$(cd "$(dirname "$0")" && pwd)
program=${VUBRIDGE:-${top_builddir:-.}/vubridge}
man=${top_srcdir:-$here/../..}/man/vubridge.8
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vubridge-options-doc.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
failures=0

fail()
{
  echo "FAIL: $*" >&2
  failures=$((failures + 1))
}

# run STATUS ARG...: the output goes to $tmp/out and $tmp/err
run()
{
  wanted=$1
  shift
  "$program" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
  status=$?
  [ "$status" = "$wanted" ] || fail "'$*' ended with $status instead of $wanted"
}

# refused TEXT ARG...: status 2, nothing on stdout, one line "vubridge: TEXT"
refused()
{
  text=$1
  shift
  run 2 "$@"
  [ ! -s "$tmp/out" ] || fail "'$*' printed to the standard output"
  printf 'vubridge: %s\n' "$text" >"$tmp/want"
  cmp -s "$tmp/want" "$tmp/err" ||
    fail "'$*' said '$(cat "$tmp/err")' instead of 'vubridge: $text'"
}

# One line an option: name|metavar|allowed|default|mandatory
table_of_help()
{
  awk -v OFS='|' '
    function out() { if (name != "") print name, metavar, allowed, def, mandatory }
    /^  --/ {
      out()
      name = substr($1, 3); metavar = allowed = def = mandatory = ""
      if (match($0, /^  --[^ ]+ [^ ]+/)) metavar = $2
      next
    }
    /^$/ { out(); name = "" }
    name == "" { next }
    { sub(/^ +/, "") }
    /^default: / { def = substr($0, 10); next }
    $0 == "mandatory" { mandatory = "yes"; next }
    { allowed = $0 }
    END { out() }' "$1"
}

# The same from the manual page; what is allowed is a sentence of its own line there.
table_of_man()
{
  awk -v OFS='|' '
    function out() { if (name != "") print name, metavar, allowed, def, mandatory }
    /^\.It Fl -/ {
      out()
      name = substr($3, 2); metavar = ($4 == "Ar") ? $5 : ""
      allowed = def = mandatory = ""
      next
    }
    /^\.El/ { out(); name = "" }
    name == "" { next }
    /:$/ { colon = 1; next }
    /^Default: .*\.$/ { def = substr($0, 10, length($0) - 10) }
    $0 == "Mandatory." { mandatory = "yes" }
    colon && /\.$/ && allowed == "" { allowed = substr($0, 1, length($0) - 1) }
    { colon = 0 }' "$1"
}

synopsis_of_man()
{
  sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/s/^\.\(Op \)\{0,1\}Fl -/\1/p' "$1" |
    awk -v OFS='|' '
      $1 == "Op" { print $2, ($3 == "Ar") ? $4 : "", ""; next }
      { print $1, ($2 == "Ar") ? $3 : "", ($2 == "Ar") ? "yes" : "" }'
}

check_tables()
{
  table_of_help "$tmp/help" >"$tmp/help.table"
  table_of_man "$man" >"$tmp/man.table"
  [ "$(wc -l <"$tmp/help.table")" -ge 3 ] || fail "--help lists hardly an option"
  diff -u "$tmp/man.table" "$tmp/help.table" >&2 ||
    fail "the manual page (-) and --help (+) differ"
  synopsis_of_man "$man" >"$tmp/synopsis"
  cut -d'|' -f1,2,5 "$tmp/help.table" >"$tmp/help.synopsis"
  diff -u "$tmp/synopsis" "$tmp/help.synopsis" >&2 ||
    fail "the manual page's synopsis (-) and --help (+) differ"
}

# The parser knows each name, and says of it what --help says.
check_parser()
{
  while IFS='|' read -r name metavar allowed default mandatory; do
    if [ -z "$metavar" ]; then
      refused "--$name 'x': takes no value" "--$name=x"
      continue
    fi
    refused "--$name '': must be $allowed" "--$name="
    case $metavar in
    '['*) ;; # may stand alone
    *) refused "--$name: needs a value" "--$name" ;;
    esac
    short=${name%?}
    refused "--$short=1: unknown option (names may not be shortened), see --help" "--$short=1"
    if [ -n "$default" ]; then # taken, so that only what follows is refused
      refused "unexpected word 'x': only options are taken, see --help" "--$name=$default" x
    fi
    if [ -n "$mandatory" ]; then
      refused "--$name: must be given: $allowed"
    fi
  done <"$tmp/help.table"
}

[ -x "$program" ] || { fail "$program is not there"; exit 1; }
run 0 --help
[ ! -s "$tmp/err" ] || fail "--help printed to the standard error output"
mv "$tmp/out" "$tmp/help"
run 0 --version
grep -q '^vubridge [^ ][^ ]*$' "$tmp/out" || fail "--version said '$(cat "$tmp/out")'"
[ "$(wc -l <"$tmp/out")" = 1 ] || fail "--version printed more than one line"
check_tables
check_parser
[ "$failures" = 0 ] || exit 1
echo "$(wc -l <"$tmp/help.table") options: parser, --help and manual page agree"
