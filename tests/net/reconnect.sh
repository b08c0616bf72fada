#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 280
#
# RESTARTS (1000) restarts of the test peer on the laboratory of pair.sh, half by SIGTERM,
# half by kill -9, at random moments under traffic. Each time the carrier comes back and
# traffic flows; at the end descriptors and memory are those of the first connection.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"
need_root
need python3 python3

pair_start
cross_start
pair_wait up
pair_ping
pair_neighbours
# traffic for all the time: small and large, both ways
in_ns "$NS_A" ping -q -i 0.002 -s 64 10.0.0.2 >/dev/null 2>&1 &
LIB_PIDS+=("$!")
in_ns "$NS_B" ping -q -i 0.002 -s 1400 10.0.0.1 >/dev/null 2>&1 &
LIB_PIDS+=("$!")
sleep 0.5

cat >"$TMP/restarts.py" <<'PY'
# Runs in ns a. Starts and ends the peer, looks at the carrier and at received frames.
import os, random, signal, subprocess, sys, time

peer, sock_a, sock_b, count, pid_a, pid_b = sys.argv[1:7]
stat = "/sys/class/net/vnet0/"
random.seed(int(os.environ.get("SEED", "1")))


def read(name):
    with open(stat + name) as f:
        return f.read().strip()


def wait_for(what, check, limit=5.0):
    start = time.monotonic()
    while not check():
        if time.monotonic() - start > limit:
            sys.exit("restart %d: %s did not come within %s s" % (i, what, limit))
        time.sleep(0.001)
    return time.monotonic() - start


def fds(pid):
    return len(os.listdir("/proc/%s/fd" % pid))


def rss(pid):
    with open("/proc/%s/status" % pid) as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))


def start():
    return subprocess.Popen([peer, "--socket", sock_a, "--socket", sock_b],
                            stdout=subprocess.DEVNULL, stderr=sys.stderr)


first, slowest = None, 0.0
slack = int(os.environ.get("RSS_SLACK_KB", "1024"))
for i in range(int(count)):
    p = start()
    slowest = max(slowest, wait_for("carrier", lambda: read("carrier") == "1"))
    before = int(read("statistics/rx_packets"))
    wait_for("traffic", lambda: int(read("statistics/rx_packets")) > before + 3)
    if first is None:
        time.sleep(0.3)
        first = [(fds(x), rss(x)) for x in (pid_a, pid_b)]
    for pid, (f, r) in zip((pid_a, pid_b), first):
        # the other side may be about to connect, or to have lost its peer, just now
        wait_for("descriptors of %s" % pid, lambda: fds(pid) == f, 2.0)
        if rss(pid) > r + slack:
            sys.exit("restart %d: memory leaks, %d KiB" % (i, rss(pid)))
    time.sleep(random.random() * 0.02)
    p.send_signal(signal.SIGKILL if random.random() < 0.5 else signal.SIGTERM)
    p.wait()
    wait_for("carrier off", lambda: read("carrier") == "0", 1.0)
p = start()
wait_for("carrier", lambda: read("carrier") == "1")
time.sleep(0.5)
for pid, (f, r) in zip((pid_a, pid_b), first):
    print("process %s: descriptors %d -> %d, RSS %d -> %d KiB" % (pid, f, fds(pid), r, rss(pid)))
    if fds(pid) != f:
        sys.exit("descriptors leak")
    if rss(pid) > r + slack:
        sys.exit("memory leaks")
print("%s restarts, slowest way back to carrier %.0f ms" % (count, slowest * 1000))
p.terminate()
p.wait()
PY

stop "${PID[peer]}"
wait_carrier "$NS_A" vnet0 down
in_ns "$NS_A" python3 "$TMP/restarts.py" "$VU_PEER" "$SOCK_A" "$SOCK_B" "${RESTARTS:-1000}" \
  "${PID[va]}" "${PID[vb]}" || fail "restarts"
[ "$(log_times va 'carrier on')" -ge "${RESTARTS:-1000}" ] || fail "carrier on was not logged each time"
