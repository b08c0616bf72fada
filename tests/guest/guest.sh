# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For tests that need a kernel of their own: what vhost-net does, only the real one shows. A
# test sources this first. On the host that boots a guest (QEMU, by emulation alone) which
# runs the same script, and ends with the script's status. In the guest it goes on with
# tests/net/lib.sh.
#
# The kernel is that of scripts/install-deps, of $GUEST_KERNEL, or the host's own: a folder
# with boot/vmlinuz-VERSION and lib/modules/VERSION. GUEST_TOOLS names further programs of
# the host to take along; a function guest_more FOLDER puts more into the guest's root.
set -eu -o pipefail

if [ -n "${GUEST_INSIDE:-}" ]; then
  # shellcheck source-path=SCRIPTDIR
  . "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"
  # "ip netns exec" would mount a /sys each time, which takes long in a guest
  # (and by a bare name busybox would run its own ping)
  in_ns() { nsenter --net="/run/netns/$1" "$(type -P "$2")" "${@:3}"; }
  return
fi

GUEST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GUEST_MODULES="tun vhost_net veth bridge"
GUEST_SECONDS=${GUEST_SECONDS:-200} # a test takes less than 40, also on a busy machine
VUBRIDGE=${VUBRIDGE:-$PWD/vubridge}
VUBCTL=${VUBCTL:-$PWD/vubctl}
guest_pid=''

guest_skip() {
  echo "$*"
  [ "${CI:-}" = true ] && exit 1
  exit 77
}

guest_need() { command -v "$1" >/dev/null || guest_skip "$1 is missing ($2)"; }

# Sets root and version to the first kernel that has what is needed.
guest_find_kernel() {
  local image
  for root in ${GUEST_KERNEL:-} /var/cache/vubridge-guest /; do
    for image in "${root%/}"/boot/vmlinuz-*; do
      version=${image##*/vmlinuz-}
      if [ -r "$image" ] && modprobe -d "$root" -S "$version" -n -a $GUEST_MODULES 2>/dev/null; then
        return
      fi
    done
  done
  guest_skip "no kernel with vhost_net for the guest (scripts/install-deps test fetches one)"
}

# guest_copy FILE…: with the libraries that it needs
guest_copy() {
  local file library
  for file in "$@"; do
    cp "$file" "$work/root/bin/"
    for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
      mkdir -p "$work/root${library%/*}"
      cp -n "$library" "$work/root$library"
    done
  done
}

# In the order in which they must be loaded; kernels may have them compressed.
guest_copy_modules() {
  local module file name
  for module in $GUEST_MODULES; do
    modprobe -d "$root" -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    name=$(basename "$file")
    name=${name%.ko*}.ko
    case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -dcq "$file" ;;
    *.gz) gzip -dc "$file" ;;
    *) cat "$file" ;;
    esac >"$work/root/modules/$name"
    echo "/modules/$name" >>"$work/root/modules/list"
  done
}

guest_fill() {
  local tool
  mkdir -p "$work/root"/{bin,modules,vubridge/tests,proc,sys,dev,run,tmp,etc}
  cp "$GUEST_DIR/init" "$work/root/init"
  cp -r "$GUEST_DIR" "$GUEST_DIR/../net" "$work/root/vubridge/tests/"
  guest_copy "$VUBRIDGE" "$VUBCTL" "$(command -v busybox)"
  echo 0123456789abcdef0123456789abcdef >"$work/root/etc/machine-id"
  for tool in bash ip ping ${GUEST_TOOLS:-}; do
    guest_copy "$(command -v "$tool")"
  done
  guest_copy_modules
  if declare -F guest_more >/dev/null; then guest_more "$work/root"; fi
  printf 'export CI=%s\ntest=%s\n' "${CI:-}" "tests/guest/$(basename "$0")" >"$work/root/etc/test"
  (cd "$work/root" && find . | cpio --quiet -o -H newc) >"$work/initrd"
}

guest_cleanup() {
  local status=$?
  trap '' INT TERM HUP
  if [ -n "$guest_pid" ]; then
    kill -TERM "$guest_pid" 2>/dev/null || true
    { wait "$guest_pid" || true; } 2>/dev/null
  fi
  rm -rf "$work"
  exit "$status"
}

guest_run() {
  # in this process group, which is ended as a whole; the guest's console is shown at the end
  timeout --foreground "$GUEST_SECONDS" qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -smp 2 -m 512 \
    -nodefaults -display none -monitor none -no-reboot -serial file:"$work/console" -serial file:"$work/status" \
    -kernel "${root%/}/boot/vmlinuz-$version" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null &
  guest_pid=$!
  wait "$guest_pid" || true
  guest_pid=''
  tr -d '\r' <"$work/console" | sed '/reboot: Power down/d'
}

[ "$(uname -m)" = x86_64 ] || guest_skip "the guest is of x86_64, this is $(uname -m)"
guest_need qemu-system-x86_64 "Debian qemu-system-x86, Fedora qemu-system-x86-core"
guest_need busybox "Debian busybox-static, Fedora busybox"
guest_need cpio cpio
guest_need modprobe kmod
for tool in bash ip ping ${GUEST_TOOLS:-}; do guest_need "$tool" "see scripts/install-deps"; done
work=$(mktemp -d "${TMPDIR:-/tmp}/vubridge-guest.XXXXXX")
trap guest_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
guest_find_kernel
guest_fill
echo "guest: Linux $version, initrd of $(($(stat -c %s "$work/initrd") / 1048576)) MiB"
guest_run
status=$(tr -dc 0-9 <"$work/status")
[ -n "$status" ] || { echo "the guest ended without a status (panic, or no end in $GUEST_SECONDS s)" && exit 1; }
exit "$status"
