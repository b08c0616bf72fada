# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py IFACE [FILE]...

Writes down, with the time of day in seconds, what is told of an interface in this network
namespace, and the lines that each FILE gets (a log, which may be begun anew):

  TIME carrier on|off|down|gone   in sysfs, when it changes; down: the interface is
  TIME event LINE                 as "ip monitor link" tells it
  TIME line LINE                  of FILE
"""
import os
import re
import subprocess
import sys
import time


class Lines:
    """Whole lines of a descriptor that does not block."""

    def __init__(self, fd):
        self.fd, self.rest = fd, b""
        os.set_blocking(fd, False)

    def rewind(self):
        """To its beginning, if the file has been cut."""
        if os.fstat(self.fd).st_size < os.lseek(self.fd, 0, os.SEEK_CUR):
            os.lseek(self.fd, 0, os.SEEK_SET)

    def read(self):
        try:
            self.rest += os.read(self.fd, 65536)
        except BlockingIOError:
            pass
        *lines, self.rest = self.rest.split(b"\n")
        return [line.decode(errors="replace") for line in lines]


def carrier(path):
    try:
        with open(path) as f:
            return "on" if f.read(1) == "1" else "off"
    except FileNotFoundError:
        return "gone"
    except OSError:
        return "down"


def listens(pid):
    """Has the process a netlink socket that hears of something?"""
    with open("/proc/net/netlink") as f:
        fields = [line.split() for line in f]
    return any(f[2] == str(pid) and int(f[3], 16) for f in fields[1:])


def start_monitor():
    # not of the interface alone, which may be about to come here
    monitor = subprocess.Popen(["stdbuf", "-oL", "ip", "-o", "monitor", "link"],
                               stdout=subprocess.PIPE)
    while not listens(monitor.pid) and monitor.poll() is None:
        time.sleep(0.001)
    return monitor


def main(iface, *logs):
    path = "/sys/class/net/%s/carrier" % iface
    ours = re.compile(r"(Deleted )?\d+: %s[@:]" % re.escape(iface))
    monitor = start_monitor()
    told = Lines(monitor.stdout.fileno())
    logged = [Lines(os.open(log, os.O_RDONLY)) for log in logs]
    last = None
    while True:
        now, state = time.time(), carrier(path)
        # of one time: what was logged before the carrier changed may be read after that
        seen = []
        for log in logged:
            log.rewind()
            seen += [("line", line) for line in log.read()]
        seen += [("event", line) for line in told.read() if ours.match(line)]
        if state != last:
            seen.append(("carrier", state))
            last = state
        for record in seen:
            print("%.6f" % now, *record, flush=True)
        if monitor.poll() is not None:
            sys.exit("ip monitor has ended")
        time.sleep(0.0002)


main(*sys.argv[1:])
