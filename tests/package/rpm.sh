#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600
#
# The rpm is built from the tarball, with its tests (%check), has nothing that rpmlint
# complains about, and what is unpacked from it runs.
. "$(dirname "$0")/../net/lib.sh"
. "$(dirname "$0")/../net/pair.sh"
. "$(dirname "$0")/tarball.sh"
need_root
need rpmbuild "Debian rpm, Fedora rpm-build"
need rpmlint rpmlint
need cpio cpio

make_tarball
"$top_srcdir/scripts/make-rpm" --output "$TMP/out" "$tarball" || fail "make-rpm"
binary=$TMP/out/vubridge-$version-1$(rpm --eval '%{?dist}').$(rpm --eval '%{_arch}').rpm
[ -f "$binary" ] || fail "there is no $binary"

rpmlint -r "$top_srcdir/rpm/vubridge.rpmlintrc" "$top_srcdir/rpm/vubridge.spec" "$TMP"/out/*.rpm \
  >"$TMP/rpmlint.log" || fail "rpmlint"
grep -q ' 0 errors, 0 warnings' "$TMP/rpmlint.log" || fail "rpmlint"

mkdir "$TMP/root"
rpm2cpio "$binary" | (cd "$TMP/root" && cpio -idm --quiet)
VUBRIDGE=$TMP/root/usr/sbin/vubridge
VUBCTL=$TMP/root/usr/sbin/vubctl
[ "$("$VUBRIDGE" --version)" = "vubridge $version" ] || fail "it is another version"
[ -d "$TMP/root/etc/vubridge" ] || fail "no folder for configuration"
cross_start
pair_start
pair_wait up
pair_ping
[[ $("$VUBCTL" -i "$TMP/va.control" show) == *vnet0* ]] || fail "vubctl show"
log "$(basename "$binary"): built, checked, runs"
