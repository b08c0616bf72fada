#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads OpenMetrics text (version 1.0.0) as strictly as its specification has it.

openmetrics.py FILE         prints the samples as JSON: {"name{a=b}": value}, or the mistake
openmetrics.py --self-test FILE   each of many ways to spoil FILE must be found
"""
import json
import re
import sys

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\Z)')
SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "info": ("_info",), "unknown": ("",)}


class Mistake(Exception):
    pass


def check(good, what):
    if not good:
        raise Mistake(what)


def read_labels(text):
    labels, position = {}, 0
    while position < len(text):
        found = LABEL.match(text, position)
        check(found, f"labels: {text}")
        name, value, separator = found.groups()
        check(name not in labels, f"label {name} twice")
        labels[name] = value
        position = found.end()
        check(not (separator == "," and position == len(text)), "a comma at the end of labels")
    return labels


def read_sample(line):
    found = re.match(r"([^{ ]+)(?:\{(.*)\})? ([^ ]+)\Z", line)
    check(found, f"not a sample: {line}")
    name, labels, value = found.groups()
    check(NAME.match(name), f"name: {name}")
    return name, read_labels(labels or ""), float(value)


class Family:
    def __init__(self, name):
        self.name, self.meta, self.seen = name, {}, set()

    def add_meta(self, kind, value):
        check(NAME.match(self.name), f"name: {self.name}")
        check(not self.seen, f"{kind} of {self.name} after its samples")
        check(kind not in self.meta, f"{kind} of {self.name} twice")
        self.meta[kind] = value

    def add(self, name, labels, value):
        kind = self.meta.get("TYPE", "unknown")
        suffix = name[len(self.name):]
        check(suffix in SUFFIXES[kind], f"{name} in the {kind} {self.name}")
        key = (name, tuple(sorted(labels.items())))
        check(key not in self.seen, f"{name} {labels} twice")
        check(kind != "counter" or value >= 0, f"{name} is negative")
        check(kind != "info" or value == 1, f"{name} is not 1")
        self.seen.add(key)

    def finish(self):
        unit = self.meta.get("UNIT")
        check("TYPE" in self.meta and "HELP" in self.meta, f"{self.name} has no TYPE or HELP")
        check(not unit or self.name.endswith("_" + unit), f"unit of {self.name}")
        check(not self.name.endswith(("_total", "_info", "_created")), f"name {self.name}")


def parse(text):
    check(text.endswith("# EOF\n"), "no EOF at the end")
    samples, finished, family = {}, set(), None

    def switch(name):
        nonlocal family
        if family and family.name == name:
            return
        if family:
            family.finish()
            finished.add(family.name)
        check(name not in finished, f"{name} is not in one piece")
        family = Family(name)

    for line in text.splitlines()[:-1]:
        meta = re.match(r"# (TYPE|HELP|UNIT) ([^ ]+) (.*)\Z", line)
        if meta:
            kind, name, value = meta.groups()
            check(kind != "TYPE" or value in SUFFIXES, f"type {value}")
            check(kind != "HELP" or not re.search(r'\\(?![n"\\])', value), f"escape in {value}")
            switch(name)
            family.add_meta(kind, value)
            continue
        check(not line.startswith("#"), f"comment: {line}")
        name, labels, value = read_sample(line)
        base = name if family and name == family.name else re.sub(r"_(total|info|created)\Z", "", name)
        switch(base)
        family.add(name, labels, value)
        samples[name + "{" + ",".join(f"{k}={v}" for k, v in labels.items()) + "}"] = value
    family.finish()
    return samples


def self_test(text):
    lines = text.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if "_total{" in line)
    spoiled = {
        "no EOF": "".join(lines[:-1]),
        "text after EOF": text + "x 1\n",
        "a sample twice": "".join(lines[:first] + [lines[first]] + lines[first:]),
        "no type": re.sub(r"# TYPE vubridge_frames .*\n", "", text),
        "no help": re.sub(r"# HELP vubridge_frames .*\n", "", text),
        "a type twice": re.sub(r"(# TYPE vubridge_frames .*\n)", r"\1\1", text),
        "a counter without _total": text.replace("frames_total", "frames"),
        "another unit": text.replace("UNIT vubridge_bytes bytes", "UNIT vubridge_bytes seconds"),
        "an unknown type": text.replace("frames counter", "frames kounter"),
        "a bad label": text.replace('direction="rx"', "direction=rx", 1),
        "a label twice": text.replace('direction="rx"', 'queue="7"', 1),
        "no number": re.sub(r" \d+\n", " many\n", text, count=1),
        "in two pieces": "".join(lines[:-1] + [lines[first], lines[-1]]),
        "an empty line": text.replace("\n", "\n\n", 1),
    }
    parse(text)
    for name, bad in spoiled.items():
        assert bad != text, f"{name}: nothing was spoiled"
        try:
            parse(bad)
        except (Mistake, ValueError):
            continue
        sys.exit(f"not found: {name}")


if sys.argv[1] == "--self-test":
    self_test(open(sys.argv[2]).read())
else:
    try:
        print(json.dumps(parse(open(sys.argv[1]).read())))
    except (Mistake, ValueError) as mistake:
        sys.exit(f"not OpenMetrics: {mistake}")
