#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends pseudo-random bytes by TCP and prints the hash of what went out or came in.

transfer.py receive ADDRESS    prints "SHA256 BYTES"
transfer.py send ADDRESS MIB   the same
"""
import hashlib
import os
import socket
import sys
import time

PORT = 5400
CHUNK = 1 << 20


def receive(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, PORT), family=family) as server:
        server.settimeout(30)
        connection, _ = server.accept()
        connection.settimeout(60)
        digest, total = hashlib.sha256(), 0
        buffer = bytearray(CHUNK)
        while n := connection.recv_into(buffer):
            digest.update(memoryview(buffer)[:n])
            total += n
    print(digest.hexdigest(), total)


def connect(address):
    for _ in range(100):
        try:
            return socket.create_connection((address, PORT), timeout=5)
        except OSError:
            time.sleep(0.1)
    sys.exit("nobody listens at " + address)


def send(address, mib):
    # other bytes in each MiB, from a few random ones: making them must cost little
    base = bytearray(os.urandom(CHUNK))
    digest, total = hashlib.sha256(), 0
    with connect(address) as connection:
        connection.settimeout(60)
        for i in range(mib):
            base[:8] = i.to_bytes(8, "little")
            digest.update(base)
            connection.sendall(base)
            total += len(base)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    print(digest.hexdigest(), total)


if sys.argv[1] == "receive":
    receive(sys.argv[2])
else:
    send(sys.argv[2], int(sys.argv[3]))
