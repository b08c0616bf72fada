#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 900
#
# The deb is built from the tarball, twice to the same bytes, has nothing that lintian
# complains about, and is installed into a small Debian of its own, a folder: there
# debian/tests/testpmd runs it, without systemctl; an upgrade keeps what was configured, and
# nothing is left when it is purged. debian/tests/service runs its units under a real systemd.
. "$(dirname "$0")/../net/lib.sh"
. "$(dirname "$0")/../net/peers.sh"
. "$(dirname "$0")/../net/container.sh"
. "$(dirname "$0")/tarball.sh"
need_root
need lintian "Debian lintian"
need apparmor_parser "Debian apparmor"
need_testpmd
cache=/var/cache/vubridge-tree
[ -r $cache/base.tar.zst ] || skip "no Debian to install into (scripts/install-deps package makes one)"

tree=$TMP/tree
shared=$TMP/shared # the same path inside and outside
started=$SECONDS
step() { log "$((SECONDS - started)) s: $*"; }

# ---- the package ----

make_tarball
# the rpm's build runs the tests of the tarball
DEB_BUILD_OPTIONS=nocheck "$top_srcdir/scripts/make-deb" --verify --output "$TMP/out" \
  "$tarball" || fail "make-deb"
architecture=$(dpkg --print-architecture)
deb=$TMP/out/vubridge_$version-1_$architecture.deb
step "built"

lintian --allow-root --fail-on error,warning -EviI --pedantic "$TMP"/out/*.changes \
  >"$TMP/lintian.log" 2>&1 || fail "lintian"
step "looked at by lintian"

# ---- the tree ----

mkdir "$tree" "$shared"
tar -C "$tree" -xpf $cache/base.tar.zst
mkdir -p "$tree/dev/net" "$tree$shared"
[ -e "$tree/dev/net/tun" ] || mknod -m 666 "$tree/dev/net/tun" c 10 200
[ -e "$tree/dev/null" ] || mknod -m 666 "$tree/dev/null" c 1 3
cp /etc/resolv.conf "$tree/etc/"
cp $cache/archives/*.deb "$tree/var/cache/apt/archives/" 2>/dev/null || true

# in_tree COMMAND…: what it mounts and starts there ends with it
in_tree() {
  unshare --mount --pid --fork --kill-child --mount-proc="$tree/proc" chroot "$tree" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" \
    </dev/null
}

apt() {
  in_tree apt-get -y -q --no-install-recommends "$@" >>"$TMP/apt.log" 2>&1 || fail "apt-get $*"
  # what was fetched need not be fetched again
  cp -n "$tree"/var/cache/apt/archives/*.deb $cache/archives/ 2>/dev/null || true
}

# Names, modes, owners and contents, without what dpkg, apt, ldconfig, and who edits the files of
# users, note down of their own work. The user stays (README.Debian).
files() {
  (
    cd "$tree"
    find . -xdev \( -path ./proc -o -path ./tmp -o -path ./var/log -o -path ./var/cache \
      -o -path ./var/lib/apt -o -path './var/lib/dpkg/*-old' -o -path './etc/*-' \) -prune \
      -o -printf '%p %M %u %g %l\n' >"$TMP/names"
    find . -xdev \( -path ./proc -o -path ./tmp -o -path ./var/log -o -path ./var/cache \
      -o -path ./var/lib/apt -o -path './var/lib/dpkg/*-old' -o -path './etc/*-' \
      -o -path ./var/lib/dpkg/status -o -path ./etc/ld.so.cache -o -path ./etc/passwd \
      -o -path ./etc/group -o -path ./etc/shadow -o -path ./etc/gshadow \) -prune \
      -o -type f -exec sha256sum {} + | awk '{ print $2, $1 }' >"$TMP/sums"
    for name in passwd group shadow gshadow; do
      echo "./etc/$name $(grep -v '^vubridge:' "etc/$name" | sha256sum)"
    done >>"$TMP/sums"
    sort "$TMP/names" "$TMP/sums"
  )
}

# installed VERSION: is that version there, and in order?
installed() {
  [ "$(in_tree dpkg-query -W -f '${db:Status-Abbrev}${Version}' vubridge)" = "ii $1" ]
}

# The same package as a later version.
make_next() {
  dpkg-deb -R "$deb" "$TMP/next"
  sed -i "s/^Version: .*/Version: $version-2/" "$TMP/next/DEBIAN/control"
  dpkg-deb -b --root-owner-group "$TMP/next" "$TMP/next.deb" >/dev/null
}

# Programs of the tree, in the namespace of whoever calls them, which see $shared too.
make_wrappers() {
  local name
  for name in vubridge vubctl; do
    cat >"$TMP/$name" <<END
#!/bin/sh
exec unshare --mount --mount-proc='$tree/proc' sh -c \\
  'mount --bind "$shared" "$tree$shared" && exec chroot "$tree" /usr/sbin/$name "\$@"' $name "\$@"
END
    chmod +x "$TMP/$name"
  done
}

# ---- its life ----

# which would else come with it: dpkg itself keeps what they leave
apt install systemd-standalone-sysusers systemd-standalone-tmpfiles
files >"$TMP/before"
cp "$deb" "$tree/tmp/vubridge.deb"
apt install /tmp/vubridge.deb
installed "$version-1" || fail "it is not installed"
[ ! -e "$tree/bin/systemctl" ] || log "systemctl is there"
[ "$(in_tree vubridge --version)" = "vubridge $version" ] || fail "it is another version"
apparmor_parser -QT "$tree/etc/apparmor.d/usr.sbin.vubridge" \
  2>"$TMP/apparmor.log" || fail "the AppArmor profile"
step "installed"

make_wrappers
TMPDIR=$shared VUBRIDGE=$TMP/vubridge VUBCTL=$TMP/vubctl bash "$top_srcdir/debian/tests/testpmd" \
  2>"$TMP/errors.log" || fail "debian/tests/testpmd"
# autopkgtest takes any of it for a failure
[ ! -s "$TMP/errors.log" ] || fail "debian/tests/testpmd wrote to the standard error output"
step "the installed program joins namespaces through testpmd"

# ---- its units, under a real systemd ----

dpkg-deb -x "$deb" "$DEST"
if [ -d "$DEST/lib" ]; then # which is /usr/lib in the container, as in any Debian of these days
  cp -a "$DEST/lib/." "$DEST/usr/lib/"
  rm -r "${DEST:?}/lib"
fi
mkdir -p "$DEST/opt/source/debian" "$DEST/opt/source/tests"
cp -r "$top_srcdir/debian/tests" "$DEST/opt/source/debian/"
cp -r "$top_srcdir/tests/net" "$DEST/opt/source/tests/"
container_start
inside ln -s /run /var/run # as Debian has it; dpdk-testpmd wants it
# what the package's scripts do
inside systemd-sysusers vubridge.conf
inside systemd-tmpfiles --create vubridge.conf
inside timeout -k 10 240 env -i PATH="$PATH" TMPDIR=/tmp bash /opt/source/debian/tests/service \
  >"$TMP/service.log" 2>"$TMP/errors.log" </dev/null || fail "debian/tests/service"
[ ! -s "$TMP/errors.log" ] || fail "debian/tests/service wrote to the standard error output: $(cat "$TMP/errors.log")"
step "its units start, restart and stop"

# ---- upgrade, removal, purge ----

# what "systemctl enable" makes, of which there is none in this tree
links=$tree/etc/systemd/system
enabled="multi-user.target.wants/vubridge@vnet0.service sockets.target.wants/vubridge@vnet0.socket"
for link in $enabled; do
  mkdir -p "$links/${link%/*}"
  unit=${link##*/}
  ln -s "/lib/systemd/system/vubridge@.${unit##*.}" "$links/$link"
done
are_enabled() { for link in $enabled; do [ -L "$links/$link" ] || return 1; done; }
echo 'path=/tmp/sock' >"$tree/etc/vubridge/vnet0.conf"
echo '/srv/switch/** rwk,' >>"$tree/etc/apparmor.d/local/usr.sbin.vubridge"
mkdir "$TMP/kept"
cp -r "$tree/etc/vubridge" "$tree/etc/apparmor.d/local" "$TMP/kept/"
configuration_kept() {
  are_enabled && diff -r "$TMP/kept/vubridge" "$tree/etc/vubridge" &&
    diff -r "$TMP/kept/local" "$tree/etc/apparmor.d/local"
}
make_next
cp "$TMP/next.deb" "$tree/tmp/"
apt install /tmp/next.deb
installed "$version-2" || fail "it is not upgraded"
configuration_kept || fail "the upgrade changed the configuration"

apt remove vubridge
[ ! -e "$tree/usr/sbin/vubridge" ] || fail "it is not removed"
configuration_kept || fail "removing it changed the configuration"
apt purge --autoremove vubridge
files >"$TMP/after"
diff "$TMP/before" "$TMP/after" || fail "purging it left or took these files"
step "upgraded, removed, purged"
