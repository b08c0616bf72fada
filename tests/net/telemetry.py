#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the control socket, good ones and bad ones.

telemetry.py SOCKET ask REQUEST...  asks and prints each answer
telemetry.py SOCKET watch           prints the events of the monitor as they come
telemetry.py SOCKET hold N          opens N connections and says how many are served
telemetry.py SOCKET flood           asks for ever more and reads nothing
telemetry.py SOCKET deaf            wants events and reads nothing
telemetry.py SOCKET noise SEED      sends random requests, then a good one

as=UID:GID before that is who it becomes first.
"""
import json
import os
import random
import socket
import sys
import time


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    s.connect(path)
    return s


def greeted(path):
    s = connect(path)
    hello = json.loads(s.recv(1024))
    assert set(hello) == {"version", "pid", "max_output_len"}, hello
    assert hello["max_output_len"] > 0, hello
    return s, hello["max_output_len"]


def ask(s, size, request):
    s.send(request.encode())
    return json.loads(s.recv(size))


def main():
    path, args = sys.argv[1], sys.argv[2:]
    if args[0].startswith("as="):
        uid, gid = map(int, args.pop(0)[3:].split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    what, rest = args[0], args[1:]
    if what == "ask":
        s, size = greeted(path)
        for request in rest:
            print(json.dumps(ask(s, size, request)))
    elif what == "watch":
        s, size = greeted(path)
        print(json.dumps(ask(s, size, "/vubridge/monitor")), flush=True)
        s.settimeout(None)
        while data := s.recv(size):
            print(json.dumps(json.loads(data)), flush=True)
    elif what == "hold":
        held = [connect(path) for _ in range(int(rest[0]))]
        print("served", sum(1 for s in held if s.recv(1024)), flush=True)
        sys.stdin.read()
    elif what == "flood":
        s = connect(path)
        s.setblocking(False)
        sent = 0
        try:
            while True:
                sent += s.send(b"/ethdev/xstats,0") > 0
        except BlockingIOError:
            print("stuck after", sent, flush=True)
        time.sleep(1000)
    elif what == "deaf":
        s, size = greeted(path)
        ask(s, size, "/vubridge/monitor")
        print("deaf", flush=True)
        time.sleep(1000)
    elif what == "noise":
        s, size = greeted(path)
        rng = random.Random(int(rest[0]))
        for _ in range(300):
            request = rng.randbytes(rng.randint(1, 1500))
            if rng.random() < 0.5:
                request = b"/vubridge/" + request
            s.send(request)
            json.loads(s.recv(size))
        print(json.dumps(ask(s, size, "/info")))
    else:
        sys.exit(__doc__)


main()
