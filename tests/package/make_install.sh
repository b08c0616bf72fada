#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What "make install" puts into an empty folder runs, and "make uninstall" takes all of it
# away, and nothing else.
. "$(dirname "$0")/../net/lib.sh"
. "$(dirname "$0")/../net/pair.sh"
. "$(dirname "$0")/tarball.sh"
need_root

root=$TMP/root
files() { (cd "$root" && find . ! -type d | sort); }
run_make() {
  make --no-print-directory -C "$top_builddir" "$1" DESTDIR="$root" >>"$TMP/make.log" 2>&1 || fail "make $1"
}

mkdir -p "$root/usr/local/sbin"
: >"$root/usr/local/sbin/another"
files >"$TMP/before"
run_make install
files >"$TMP/installed"
log "installed: $(($(wc -l <"$TMP/installed") - 1)) files"
installed() { find "$root" -path "*/$1" ! -type d; }
for file in sbin/vubridge sbin/vubctl man8/vubridge.8 man8/vubctl.8; do
  [ -n "$(installed "$file")" ] || fail "$file is not installed"
done
"$(installed sbin/vubridge)" --version | grep -qF "$("$VUBRIDGE" --version)" || fail "another version"

VUBRIDGE=$(installed sbin/vubridge)
VUBCTL=$(installed sbin/vubctl)
cross_start
pair_start
pair_wait up
pair_ping
[[ $("$VUBCTL" -i "$TMP/va.control" show) == *vnet0* ]] || fail "vubctl show"

run_make uninstall
files >"$TMP/after"
diff "$TMP/before" "$TMP/after" || fail "make uninstall left or took these files"
