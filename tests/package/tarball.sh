# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # some of this is for those who source it
# What the tests of packages share; sourced after tests/net/lib.sh.
top_builddir=${top_builddir:-$PWD}
top_srcdir=${top_srcdir:-$LIB_DIR/../..}

# Sets tarball, made of this tree, and version.
make_tarball() {
  version=$("$VUBRIDGE" --version)
  version=${version#* }
  make --no-print-directory -C "$top_builddir" dist >"$TMP/dist.log" 2>&1 || fail "make dist"
  mv "$top_builddir/vubridge-$version.tar.xz" "$TMP/"
  tarball=$TMP/vubridge-$version.tar.xz
}
