# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A container in which the host's own systemd runs as process 1; sourced after lib.sh. It has
# the host's /usr, read-only and with $DEST's above it, an /etc that is almost empty, and
# namespaces of its own for everything else; the rest of $DEST's tree lies where it was
# installed. When the test ends nothing of it is left.
#
#   container_start         returns when systemd is up
#   inside COMMAND…         runs it there, as root
#   $ROOT                   its tree, seen from the host

DEST=$TMP/dest
CONTAINER_MASKED="systemd-sysctl.service systemd-binfmt.service systemd-update-utmp.service
  systemd-journald-audit.socket systemd-networkd.socket dev-hugepages.mount sys-kernel-debug.mount
  sys-kernel-tracing.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount"
container_init='' container_group=''

# Everything of it is in the cgroup and in the namespaces of process 1.
container_end() {
  local i
  [ -z "$container_init" ] || kill -KILL "$container_init" 2>/dev/null
  for ((i = 0; i < 50; i++)); do
    find "$container_group" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$container_group" ] || return 0
    sleep 0.1
  done
}

# A group of our own, below the one that we are in, of the hierarchy that systemd uses.
container_make_group() {
  local hierarchy group
  hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  [ -n "$hierarchy" ] || skip "no cgroup2 is mounted here"
  group=$hierarchy$(sed -n 's/^0:://p' /proc/self/cgroup)/vubridge-test-$$
  mkdir "$group" 2>"$TMP/group.err" || skip "no cgroup can be made here: $(cat "$TMP/group.err")"
  container_group=$group
  at_exit container_end
}

# container_tree: run by container_enter in its mount namespace
container_tree() {
  local name unit
  mount -t tmpfs -o mode=755 tmpfs "$ROOT"
  mkdir -p "$ROOT"/{etc/systemd/system,dev,home,opt,proc,root,run,sys,tmp,usr,var,.host}
  for name in bin sbin lib lib64; do [ ! -L "/$name" ] || cp -P "/$name" "$ROOT/"; done
  if [ -d "$DEST/usr" ]; then
    mount -t overlay -o "ro,lowerdir=$DEST/usr:/usr" overlay "$ROOT/usr"
  else
    mount --bind /usr "$ROOT/usr"
    mount -o remount,bind,ro "$ROOT/usr"
  fi
  for name in "$DEST"/*; do
    [ "$name" = "$DEST/usr" ] || cp -a "$name" "$ROOT/"
  done
  printf '%s\n' 'root:x:0:0::/root:/bin/sh' 'nobody:x:65534:65534::/:/bin/false' >"$ROOT/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$ROOT/etc/group"
  printf '%s\n' 'passwd: files' 'group: files' >"$ROOT/etc/nsswitch.conf"
  # without one, systemd would take this for the first boot ever and enable what it finds
  echo 0123456789abcdef0123456789abcdef >"$ROOT/etc/machine-id"
  cp /etc/ld.so.cache "$ROOT/etc/"
  ln -s /usr/lib/systemd/system/basic.target "$ROOT/etc/systemd/system/default.target"
  for unit in $CONTAINER_MASKED; do ln -s /dev/null "$ROOT/etc/systemd/system/$unit"; done
  mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev" # or systemd would mount the host's devices
  mkdir "$ROOT/dev/net" "$ROOT/dev/pts" "$ROOT/dev/shm"
  for name in null zero full random urandom tty net/tun; do
    mknod -m 666 "$ROOT/dev/$name" c $((0x$(stat -c %t "/dev/$name"))) $((0x$(stat -c %T "/dev/$name")))
  done
}

# What systemd wants to find mounted; what is the host's own is read-only.
container_mounts() {
  mount -t proc proc "$ROOT/proc"
  mount --bind "$ROOT/proc/sys" "$ROOT/proc/sys"
  mount -o remount,bind,ro "$ROOT/proc/sys"
  mount -t sysfs -o ro sysfs "$ROOT/sys"
  mount -t cgroup2 cgroup2 "$ROOT/sys/fs/cgroup"
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$ROOT/dev/pts"
  ln -s pts/ptmx "$ROOT/dev/ptmx"
  mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
  mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
}

# The first process of the new namespaces, which becomes systemd.
container_enter() {
  set -e
  mount --make-rprivate /
  container_tree
  container_mounts
  cd "$ROOT"
  pivot_root . .host
  umount -l /.host
  exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
    ${UNIT_PATH:+SYSTEMD_UNIT_PATH="$UNIT_PATH:"} \
    /usr/lib/systemd/systemd --log-target=console --show-status=0
}

inside() { nsenter -t "$container_init" -a -- "$@"; }

container_is_up() {
  local parent=${PID[container]}
  container_init=$(cat "/proc/$parent/task/$parent/children") && container_init=${container_init// /}
  [ -n "$container_init" ] && [ "$(cat "/proc/$container_init/comm")" = systemd ] &&
    inside systemctl is-active --quiet basic.target
}

container_start() {
  need unshare util-linux
  need systemctl systemd
  [ -x /usr/lib/systemd/systemd ] || skip "systemd is missing (systemd)"
  container_make_group
  ROOT=$TMP/root
  mkdir "$ROOT"
  export ROOT DEST CONTAINER_MASKED UNIT_PATH=${UNIT_PATH:-}
  export -f container_enter container_tree container_mounts
  # shellcheck disable=SC2016 # expanded there
  start container bash -c 'echo $$ >"$0/cgroup.procs" && exec unshare --mount --pid --net --uts \
    --ipc --cgroup --kill-child=KILL bash -c container_enter' "$container_group"
  wait_until 60 container_is_up || fail "systemd does not come up: $(cat "$TMP/container.log")"
  ROOT=/proc/$container_init/root
}
