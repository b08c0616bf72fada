#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""perf script | flame.py TITLE >FILE.svg: a flame graph of the samples, callers below.

A box is as wide as its share of all samples; what is on top of it was called by it. Grey is
the kernel, orange the program. Hold the pointer over a box for its name and share."""
import html
import re
import sys

WIDTH, ROW, LEAST, LETTER = 1200, 17, 0.4, 6.4
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")


class Node:
    def __init__(self, kernel=False):
        self.samples = 0
        self.kernel = kernel
        self.callees = {}


def read_stacks(lines):
    """Yields stacks, outermost first, of (name, whether it is the kernel's)."""
    stack = None
    for line in lines:
        line = line.rstrip("\n")
        frame = FRAME.match(line)
        if frame and stack is not None:
            name = re.sub(r"\+0x[0-9a-f]+$", "", frame.group(1))
            stack.append((name, frame.group(2).startswith("[")))
        elif line.strip() and not frame:
            stack = []
        elif not line.strip() and stack:
            yield stack[::-1]
            stack = None
    if stack:
        yield stack[::-1]


def grow(stacks):
    root = Node()
    for stack in stacks:
        node = root
        node.samples += 1
        for name, kernel in stack:
            node = node.callees.setdefault(name, Node(kernel))
            node.samples += 1
    return root


def depth(node, scale):
    wide = [c for c in node.callees.values() if c.samples * scale >= LEAST]
    return 1 + max((depth(c, scale) for c in wide), default=0)


def draw(node, name, x, level, scale, height, total, out):
    width = node.samples * scale
    if width < LEAST:
        return
    y = height - (level + 1) * ROW
    shade = 205 - (hash_of(name) % 40)
    color = f"rgb({shade},{shade},{shade})" if node.kernel else f"rgb(245,{shade - 25},90)"
    title = html.escape(f"{name}: {100 * node.samples / total:.1f} %")
    out.append(f'<g><title>{title}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
               f'height="{ROW - 1}" fill="{color}"/>')
    letters = int((width - 4) / LETTER)
    if letters >= 3:
        text = name if len(name) <= letters else name[:letters - 1] + "…"
        out.append(f'<text x="{x + 2:.1f}" y="{y + 12}">{html.escape(text)}</text>')
    out.append("</g>")
    for callee, child in sorted(node.callees.items()):
        draw(child, callee, x, level + 1, scale, height, total, out)
        x += child.samples * scale


def hash_of(name):
    """The same in each run."""
    value = 0
    for letter in name:
        value = (value * 31 + ord(letter)) % 65521
    return value


def main():
    if len(sys.argv) != 2:
        print("usage: perf script | flame.py TITLE >FILE.svg", file=sys.stderr)
        return 2
    root = grow(read_stacks(sys.stdin))
    if not root.samples:
        print("flame.py: no samples", file=sys.stderr)
        return 1
    scale = WIDTH / root.samples
    height = (depth(root, scale) + 2) * ROW
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
           'font-family="monospace" font-size="10.5">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="4" y="13" font-size="13">{html.escape(sys.argv[1])}: '
           f'{root.samples} samples</text>']
    draw(root, "all", 0, 0, scale, height, root.samples, out)
    print("\n".join(out) + "\n</svg>")
    return 0


if __name__ == "__main__":
    sys.exit(main())
