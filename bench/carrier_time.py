#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""carrier_time.py IFACE COMMAND…: runs the command, brings IFACE up as soon as it is there,
prints how many milliseconds after the start it had carrier, and ends the command."""
import fcntl
import socket
import struct
import subprocess
import sys
import time

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 1
PATIENCE = 20


def bring_up(sock, iface):
    request = struct.pack("16sH14x", iface.encode(), 0)
    flags = struct.unpack("16xH14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[0]
    if not flags & IFF_UP:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", iface.encode(), flags | IFF_UP))


def has_carrier(sock, iface):
    try:
        bring_up(sock, iface)
        with open(f"/sys/class/net/{iface}/carrier") as f:
            return f.read().strip() == "1"
    except OSError:  # not there yet, or not up
        return False


def main(iface, command):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    start = time.monotonic()
    # a pipe as its input: testpmd leaves when that ends
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr)
    try:
        while not has_carrier(sock, iface):
            if process.poll() is not None:
                sys.exit(f"{command[0]} ended: {process.returncode}")
            if time.monotonic() > start + PATIENCE:
                sys.exit(f"{iface} has no carrier")
            time.sleep(0.0002)
        print(round((time.monotonic() - start) * 1000, 2))
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
