#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600
#
# The rpm is built from the tarball, with its tests (%check), has nothing that rpmlint
# complains about, scripts that leave nothing enabled, and what is unpacked from it runs.
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

# ---- what it does when it comes and goes, which rpm would run; here it is looked at ----

rpm -qp --scripts "$binary" >"$TMP/scripts"
# script NAME: that scriptlet
script() {
  awk -v head="^$1 scriptlet" '$0 ~ head { on = 1; next } / scriptlet \(|^[a-z]* program/ { on = 0 } on' "$TMP/scripts"
}
# has NAME LINE…
has() {
  local name=$1 line
  shift
  for line; do
    script "$name" | grep -qF -- "$line" || fail "$name lacks '$line': $(script "$name")"
  done
}
has postinstall 'systemctl daemon-reload'
has preuninstall 'if [ $1 -eq 0 ]' "systemctl stop 'vubridge@*.socket' 'vubridge@*.service'" \
  'in /etc/systemd/system/*.wants/vubridge@*; do'
has postuninstall 'systemctl daemon-reload'
! grep -n '%' "$TMP/scripts" || fail "a macro is left in the scriptlets"
for name in postinstall preuninstall postuninstall; do
  script $name >"$TMP/$name"
  sh -n "$TMP/$name" || fail "$name is no script"
done
# an upgrade ($1 = 1) does nothing; the end stops all and disables each by its name, for systemctl
# disable takes no patterns
mkdir -p "$TMP/spy" "$TMP/system/multi-user.target.wants" "$TMP/system/sockets.target.wants"
ln -s /nowhere "$TMP/system/multi-user.target.wants/vubridge@vnet0.service"
ln -s /nowhere "$TMP/system/sockets.target.wants/vubridge@vnet0.socket"
ln -s /nowhere "$TMP/system/multi-user.target.wants/other.service"
printf '#!/bin/sh\necho "$*" >>"%s"\n' "$TMP/spied" >"$TMP/spy/systemctl"
chmod +x "$TMP/spy/systemctl"
: >"$TMP/spied"
sed -i "s,/etc/systemd/system,$TMP/system,; s,-d /run/systemd/system,-d $TMP/system," "$TMP/preuninstall"
PATH=$TMP/spy:$PATH sh -e "$TMP/preuninstall" 1 || fail "preuninstall at an upgrade"
[ ! -s "$TMP/spied" ] || fail "an upgrade does $(cat "$TMP/spied")"
PATH=$TMP/spy:$PATH sh -e "$TMP/preuninstall" 0 || fail "preuninstall at the end"
diff - "$TMP/spied" <<'END' || fail "that is what the end does (>)"
stop vubridge@*.socket vubridge@*.service
--no-reload disable vubridge@vnet0.service
--no-reload disable vubridge@vnet0.socket
END

# ---- what is in it runs ----

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
