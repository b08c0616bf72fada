# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # some of this is for those who source it
# The real backends: dpdk-testpmd with net_vhost, and OVS-DPDK with a database of its own.
# Source lib.sh first.

need_testpmd() { need dpdk-testpmd "Debian dpdk-dev, Fedora dpdk-tools"; }

OVS_DAEMON=''
need_ovs() {
  local candidate
  need ovsdb-server "Debian openvswitch-switch-dpdk, Fedora openvswitch"
  need ovs-vsctl "Debian openvswitch-switch-dpdk, Fedora openvswitch"
  for candidate in /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk \
    /usr/sbin/ovs-vswitchd.dpdk /usr/sbin/ovs-vswitchd; do
    if [ -x "$candidate" ] && "$candidate" --version 2>/dev/null | grep -q DPDK; then
      OVS_DAEMON=$candidate
      return
    fi
  done
  skip "no ovs-vswitchd with DPDK (Debian openvswitch-switch-dpdk)"
}

# At least @1 MiB of free huge pages, and their file system.
hugepages_ensure() {
  local size wanted free
  size=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
  wanted=$(($1 * 1024 / size))
  free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
  if [ "$free" -lt "$wanted" ]; then
    LIB_PAGES_BEFORE=$(cat /proc/sys/vm/nr_hugepages)
    at_exit hugepages_restore
    echo $((LIB_PAGES_BEFORE + wanted - free)) >/proc/sys/vm/nr_hugepages
    free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
    [ "$free" -ge "$wanted" ] || skip "no $1 MiB of huge pages to be had"
  fi
  if ! grep -q ' hugetlbfs ' /proc/mounts; then
    mkdir -p /dev/hugepages
    mount -t hugetlbfs none /dev/hugepages
  fi
}

hugepages_restore() { echo "$LIB_PAGES_BEFORE" >/proc/sys/vm/nr_hugepages; }

# testpmd_run NAME huge|nohuge EAL-ARGUMENT… -- ARGUMENT…: dpdk-testpmd, forwarding started,
# on one processor, TESTPMD_CPU (0). TESTPMD_PREFIX (an array) is what runs it: ip netns exec X.
testpmd_run() {
  local name=$1 memory=$2 cpu=${TESTPMD_CPU:-0} eal=()
  shift 2
  while [ "$1" != -- ]; do eal+=("$1") && shift; done
  case $memory in
  huge) hugepages_ensure 256 && eal+=(--in-memory -m 256) ;;
  nohuge) eal+=(--no-huge --no-shconf -m 256) ;;
  esac
  TESTPMD_IN[$name]=$TMP/$name.in
  if [ ! -p "$TMP/$name.in" ]; then mkfifo "$TMP/$name.in"; fi
  # it leaves when its standard input ends: this end stays open in the test
  exec {LIB_FIFO}<>"$TMP/$name.in"
  TESTPMD_LOG[$name]=$TMP/$name.log
  : >"$TMP/$name.log"
  "${TESTPMD_PREFIX[@]}" stdbuf -oL dpdk-testpmd --lcores "0@$cpu,1@$cpu" --no-pci \
    --file-prefix "vut$$$name" "${eal[@]}" -- -i --auto-start --total-num-mbufs=16384 "${@:2}" \
    <"$TMP/$name.in" >>"$TMP/$name.log" 2>&1 &
  PID[$name]=$!
  LIB_PIDS+=("$!")
}
TESTPMD_PREFIX=()
declare -A TESTPMD_IN=() TESTPMD_LOG=()

# testpmd_start NAME huge|nohuge MODE SOCKET…: a net_vhost port each, forwarding started.
# TESTPMD_QUEUES (1) pairs each; TESTPMD_CLIENT=1 connects to the sockets; TESTPMD_VHOST are
# more arguments of the ports (,tso=1), TESTPMD_VDEVS (an array) are devices before them.
testpmd_start() {
  local name=$1 memory=$2 mode=$3 i=0 socket queues=${TESTPMD_QUEUES:-1} client=${TESTPMD_CLIENT:-0}
  local eal=()
  shift 3
  for socket in "${TESTPMD_VDEVS[@]}"; do eal+=(--vdev "$socket"); done
  for socket in "$@"; do
    # testpmd does not replace the file of one that was killed
    if [ "$client" = 0 ]; then rm -f "$socket"; fi
    eal+=(--vdev "net_vhost$i,iface=$socket,queues=$queues,client=$client${TESTPMD_VHOST:-}")
    i=$((i + 1))
  done
  testpmd_run "$name" "$memory" "${eal[@]}" -- --forward-mode="$mode" --rxq="$queues" --txq="$queues"
  for socket in "$@"; do
    wait_until 20 test -S "$socket" || fail "testpmd did not make $socket"
  done
}
TESTPMD_VDEVS=()

# testpmd_say NAME COMMAND
testpmd_say() { printf '%s\n' "$2" >"${TESTPMD_IN[$1]}"; }

# ---- OVS ----

ovs() { OVS_RUNDIR=$TMP/ovs ovs-vsctl --db="unix:$TMP/ovs/db.sock" --timeout=20 "$@"; }

# ovs_start: a new instance; its sockets appear in $TMP/ovs. It lives in a namespace of its
# own, since it makes interfaces too and there may be another one on this machine.
ovs_start() {
  hugepages_ensure 512
  ns_add ovs
  mkdir -p "$TMP/ovs"
  rm -f "$TMP/ovs/conf.db"
  ovsdb-tool create "$TMP/ovs/conf.db" "$(ovs_schema)"
  start ovsdb ovsdb-server "$TMP/ovs/conf.db" --remote="punix:$TMP/ovs/db.sock" \
    --unixctl="$TMP/ovs/ovsdb.ctl" --log-file="$TMP/ovs/ovsdb.txt"
  wait_until 5 test -S "$TMP/ovs/db.sock" || fail "ovsdb-server does not listen"
  ovs --no-wait init
  ovs --no-wait set Open_vSwitch . other_config:dpdk-init=true \
    other_config:dpdk-extra="--no-pci --in-memory --file-prefix=vuo$$" \
    other_config:dpdk-socket-mem=512 other_config:pmd-cpu-mask="$(printf %x $((1 << ${OVS_CPU:-$(($(nproc) - 1))})))" \
    other_config:dpdk-lcore-mask=1
  ovs_daemon
}

ovs_schema() {
  local f
  for f in /usr/share/openvswitch/vswitch.ovsschema /usr/local/share/openvswitch/vswitch.ovsschema; do
    if [ -f "$f" ]; then echo "$f"; return; fi
  done
}

# The switch itself, with what its database says; also to start it again.
ovs_daemon() {
  OVS_RUNDIR=$TMP/ovs start ovs ip netns exec "$NS_OVS" "$OVS_DAEMON" "unix:$TMP/ovs/db.sock" \
    --unixctl="$TMP/ovs/vswitchd.ctl" --log-file="$TMP/ovs/vswitchd.txt"
  ovs set Open_vSwitch . external_ids:test=started ||
    fail "ovs-vswitchd does not start: $(tail -n 5 "$TMP/ovs/vswitchd.txt")"
}

ovs_bridge() { ovs --may-exist add-br "$1" -- set bridge "$1" datapath_type=netdev; }

# ovs_client_port BRIDGE PORT SOCKET: OVS connects to the socket
ovs_client_port() {
  ovs --may-exist add-port "$1" "$2" -- set Interface "$2" type=dpdkvhostuserclient \
    options:vhost-server-path="$3"
}

# ovs_port BRIDGE PORT TYPE [SETTING…]: its socket is $TMP/ovs/PORT
ovs_port() {
  local bridge=$1 port=$2 type=$3
  shift 3
  ovs --may-exist add-port "$bridge" "$port" -- set Interface "$port" type="$type" "$@"
  wait_until 10 test -S "$TMP/ovs/$port" || fail "OVS did not make the socket of $port"
}
