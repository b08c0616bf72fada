#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes results.json, table.md and a plot for each row of the samples of scripts/bench, and
summary.md: vubridge beside what it is compared with, as in docs/benchmarks.md.

report.py FOLDER [--vubridge PROGRAM] [--arguments TEXT] [--skipped NAMES]

FOLDER has samples.jsonl: an object a line, with round, row, case, candidate, metric, value.
The ratios are those of medians; an aim on the worst round compares round by round.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys

from aims import AIMS, EVIDENCE, ROWS, WAITED, WAITED_LIMIT

SUBJECT, BASELINE = "vubridge", "testpmd"
# Those of the table's samples that are no candidates to compare.
CEILING = "ring"


def load(folder):
    """{(row, case, metric, candidate): {round: value}}, in the order of the samples."""
    samples = {}
    with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as f:
        for line in f:
            s = json.loads(line)
            key = s["row"], s["case"], s["metric"], s["candidate"]
            samples.setdefault(key, {})[s["round"]] = s["value"]
    return samples


def ratio(a, b):
    return a / b if b else None


def is_met(aim, reached):
    return reached >= aim.value if aim.sense == ">=" else reached <= aim.value


def against_base(aim, rounds, base):
    """What was reached as a ratio, None beside a base of 0, and whether that is enough."""
    median, beside = statistics.median(rounds.values()), statistics.median(base.values())
    if not beside:
        return None, median > 0 if aim.sense == ">=" else median == 0
    reached = ratio(median, beside)
    if aim.worst:
        each = [ratio(rounds[r], base[r]) for r in rounds if base.get(r)]
        reached = (min if aim.sense == ">=" else max)(each, default=reached)
    return reached, is_met(aim, reached)


def aim_of(samples, key, aim):
    """How the aim stands: what was reached, and whether that is enough (None: who knows)."""
    row, case, metric, _ = key
    reached, met = statistics.median(samples[key].values()), None
    if aim.against:
        base = samples.get((row, case, metric, aim.against))
        reached, met = against_base(aim, samples[key], base) if base else (None, None)
    else:
        met = is_met(aim, reached)
    return {"against": aim.against, "sense": aim.sense, "value": aim.value, "worst_round": aim.worst,
            "reached": reached, "met": met}


def analyse(samples):
    lines = []
    for key, rounds in samples.items():
        row, case, metric, candidate = key
        values = list(rounds.values())
        base = samples.get((row, case, metric, BASELINE))
        median = statistics.median(values)
        aims = [aim_of(samples, key, a) for a in AIMS
                if (a.row, a.candidate, a.metric) == (row, candidate, metric) and case.startswith(a.case)]
        lines.append({
            "row": row, "case": case, "metric": metric, "candidate": candidate,
            "median": median, "min": min(values), "max": max(values), "rounds": len(values),
            "ratio": ratio(median, statistics.median(base.values())) if base else None,
            "aims": aims,
        })
    return lines


def disturbed(samples):
    """Samples whose candidate waited for its processor; testpmd's threads wait for each other."""
    return [f"row {row}, {case}: {candidate} in round {number} waited {value:.1f} %"
            for (row, case, metric, candidate), rounds in samples.items()
            if metric == WAITED and candidate != BASELINE
            for number, value in rounds.items() if value > WAITED_LIMIT]


# ---- the machine ----

def first_line(*command):
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return (run.stdout or run.stderr).splitlines()[0].strip()
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def machine(vubridge):
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    system = "unknown"
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as f:
            system = dict(line.rstrip().split("=", 1) for line in f if "=" in line) \
                .get("PRETTY_NAME", system).strip('"')
    return {
        "processor": f"{cpu}, {os.cpu_count()} processors",
        "kernel": platform.release(),
        "system": system,
        "vubridge": first_line(vubridge, "--version") if vubridge else "unknown",
        "DPDK": first_line("pkg-config", "--modversion", "libdpdk"),
        "OVS": first_line("ovs-vsctl", "--version"),
        "iperf3": first_line("iperf3", "--version"),
    }


def speeds(folder):
    """What bench/speed found before each candidate was started, a sentence for each processor."""
    found = {}
    with open(os.path.join(folder, "speeds"), encoding="utf-8") as f:
        for line in f:
            cpu, speed = line.split()
            found.setdefault(cpu, []).append(float(speed))
    return "; ".join(f"processor {cpu} {show(statistics.median(x))} ({show(min(x))} to {show(max(x))})"
                     for cpu, x in sorted(found.items())) or "unknown"


# ---- the table ----

def show(value):
    if value is None:
        return ""
    if value != 0 and abs(value) < 0.01:
        return f"{value:.2g}"
    for limit, digits in ((10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}".replace(",", " ")


def show_aims(aims):
    texts = []
    for a in aims:
        sense = {">=": "≥", "<=": "≤"}[a["sense"]]
        against = f" × {a['against']}" if a["against"] else ""
        worst = ", each round" if a["worst_round"] else ""
        verdict = {True: "met", False: "**not met**", None: "not measured"}[a["met"]]
        reached = f"{show(a['reached'])}, " if a["reached"] is not None else ""
        texts.append(f"{sense} {a['value']}{against}{worst}: {reached}{verdict}")
    return "; ".join(texts)


def evidence(lines):
    """What bears out a row's figures, a sentence each."""
    out = []
    for metric, text in EVIDENCE.items():
        found = [x for x in lines if x["metric"] == metric and x["candidate"] != CEILING]
        if found:
            least = min(found, key=lambda x: x["min"])
            out.append(f"{text}: at least {show(least['min'])} ({least['candidate']}, {least['case']}).")
    return [x[0].upper() + x[1:] for x in out]


def in_order(lines):
    """By case, measure and candidate, each in the order in which they first came."""
    def order(key):
        return list(dict.fromkeys(x[key] for x in lines)).index
    case, metric, candidate = order("case"), order("metric"), order("candidate")
    return sorted(lines, key=lambda x: (case(x["case"]), metric(x["metric"]), candidate(x["candidate"])))


def table(lines, info, notes):
    out = ["| | |", "|---|---|"]
    out += [f"| {name} | {value} |" for name, value in info.items()]
    for row in ROWS:
        of_row = [x for x in lines if x["row"] == row]
        chosen = [x for x in in_order(of_row) if x["metric"] not in EVIDENCE and x["metric"] != WAITED]
        if not chosen:
            continue
        out += ["", f"### {row}. {ROWS[row]}", "",
                f"| case | measure | candidate | median | min | max | × {BASELINE} | aim |",
                "|---|---|---|---:|---:|---:|---:|---|"]
        for x in chosen:
            out.append(f"| {x['case']} | {x['metric']} | {x['candidate']} | {show(x['median'])} "
                       f"| {show(x['min'])} | {show(x['max'])} | {show(x['ratio'])} "
                       f"| {show_aims(x['aims'])} |")
        for text in evidence(of_row):
            out += ["", text]
    if notes:
        out += ["", "### Notes", ""] + [f"- {n}" for n in notes]
    return "\n".join(out) + "\n"


# ---- the summary ----

# A column each, beside the subject's; in brackets what the second one has, if it was measured.
BESIDE = {"testpmd": None, "floor": "floor-super", "ring": None}


def beside(lines, x, name, more):
    """The medians of @name, and of @more in brackets, where @x was measured."""
    found = {y["candidate"]: y["median"] for y in lines
             if (y["row"], y["case"], y["metric"]) == (x["row"], x["case"], x["metric"])}
    text = show(found.get(name))
    return f"{text} ({show(found[more])})".strip() if more in found else text


def spread(x):
    """The median, and least and greatest of several rounds."""
    if x["rounds"] < 2:
        return show(x["median"])
    return f"{show(x['median'])} ({show(x['min'])} to {show(x['max'])})"


def instructions(lines):
    """Row 9 in a sentence: {step: [of 64 bytes, of 1514 bytes]}."""
    steps = {}
    for x in lines:
        if x["row"] == "9":
            steps.setdefault(x["case"].split(",")[0], []).append(show(x["median"]))
    text = ", ".join(f"{step} {' / '.join(counts)}" for step, counts in steps.items())
    return ["", f"Row 9, instructions a frame of 64 / 1514 bytes: {text}."] if steps else []


def summary(lines):
    out = [f"| row, case | measure | {SUBJECT} | {' | '.join(BESIDE)} | × {BASELINE} | aim |",
           "|---|---|---:|" + "---:|" * (len(BESIDE) + 1) + "---|"]
    for x in sorted(lines, key=lambda x: int(x["row"])):
        busy = x["candidate"] == "vubridge-busy" and x["aims"]
        if x["row"] == "9" or x["metric"] in EVIDENCE or x["metric"] == WAITED or \
           not (busy or x["candidate"] == SUBJECT):
            continue
        columns = [beside(lines, x, name, more) for name, more in BESIDE.items()]
        out.append(f"| {x['row']}. {x['case']}{' (`--poll busy`)' if busy else ''} | {x['metric']} "
                   f"| {spread(x)} | {' | '.join(columns)} | {show(x['ratio'])} "
                   f"| {show_aims(x['aims'])} |")
    return "\n".join(out + instructions(lines)) + "\n"


# ---- the plots ----

def plot(folder, row, metric, lines):
    """Bars with their spread: the cases side by side, a colour for each candidate."""
    cases = list(dict.fromkeys(x["case"] for x in lines))
    candidates = list(dict.fromkeys(x["candidate"] for x in lines))
    found = {(x["case"], x["candidate"]): x for x in lines}
    data = []
    for case in cases:
        fields = [f'"{case}"']
        for candidate in candidates:
            x = found.get((case, candidate))
            fields += [str(x[k]) for k in ("median", "min", "max")] if x else ["NaN"] * 3
        data.append(" ".join(fields))
    bars = ", ".join(f"$data using {3 * i + 2}:{3 * i + 3}:{3 * i + 4}:xtic(1) title '{name}'"
                     for i, name in enumerate(candidates))
    values = [x["median"] for x in lines if x["median"] > 0]
    if not values:
        return
    wide = max(values) > 20 * min(values)
    name = metric.replace("µ", "u").replace("%", "percent").replace("/", "-per-")
    name = f"row-{row}-{name.replace(',', '').replace(' ', '-')}.svg"
    # what lies far apart is only seen on a logarithmic scale
    scale = "set logscale y" if wide else "set yrange [0:*]"
    script = "\n".join([
        f"set terminal svg size {max(640, 90 * len(cases) * max(2, len(candidates) // 2))},420 "
        "font 'sans,12' background 'white'",
        f"set output '{os.path.join(folder, name)}'",
        f"set title '{row}. {ROWS[row]}'", f"set ylabel '{metric}'", "set grid ytics",
        "set style data histogram", "set style histogram errorbars gap 2 lw 1",
        "set style fill solid 0.8", "set key outside right top", "set xtics rotate by -20", scale,
        "$data << EOD", *data, "EOD", f"plot {bars}", ""])
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


SPEEDS = ("frames/s", "Gbit/s")


def overview(folder, lines):
    """How many times as fast as the baseline, for each case of what is measured by speed."""
    chosen = [x for x in lines if x["candidate"] == SUBJECT and x["metric"] in SPEEDS and x["ratio"]
              and x["row"] != "10"]
    if not chosen:
        return
    chosen.sort(key=lambda x: int(x["row"]))
    data = []
    for i, x in enumerate(chosen):
        title = ROWS[x["row"]] if x["row"] in ("1", "2", "3") else \
            {"4": "kernel → backend, ", "5": "TCP, "}.get(x["row"], "") + x["case"]
        if x["row"] in ("1", "2", "3"):
            title += f" ({x['case']})"
        data.append(f'{len(chosen) - i} {x["ratio"]} "{title}" "{show(x["ratio"])} ×"')
    script = "\n".join([
        f"set terminal svg size 820,{70 + 22 * len(chosen)} font 'sans,12' background 'white'",
        f"set output '{os.path.join(folder, 'overview.svg')}'",
        f"set title '{SUBJECT}: times as fast as {BASELINE}, on one core'",
        "set style fill solid 0.8", "set logscale x", f"set xrange [0.5:{4 * max(x['ratio'] for x in chosen)}]",
        f"set yrange [0.4:{len(chosen) + 0.6}]", "set grid xtics", "unset key", "set ytics nomirror",
        "$data << EOD", *data, "EOD",
        "plot $data using (1):1:(1):2:($1-0.35):($1+0.35):ytic(3) with boxxyerror lc rgb '#3465a4', "
        "$data using 2:1:4 with labels left offset 0.5,0", ""])
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def plots(folder, lines):
    if not shutil.which("gnuplot"):
        print("report: no gnuplot, so no plots", file=sys.stderr)
        return
    for row in ROWS:
        metrics = dict.fromkeys(x["metric"] for x in lines if x["row"] == row)
        for metric in metrics:
            if metric not in EVIDENCE and metric != WAITED:
                plot(folder, row, metric,
                     [x for x in lines if x["row"] == row and x["metric"] == metric])
    overview(folder, lines)


def main():
    parser = argparse.ArgumentParser(description="see the head of this file")
    parser.add_argument("folder")
    parser.add_argument("--vubridge")
    parser.add_argument("--arguments", default="")
    parser.add_argument("--skipped", default="")
    args = parser.parse_args()
    samples = load(args.folder)
    lines = analyse(samples)
    info = machine(args.vubridge)
    info["command"] = f"scripts/bench {args.arguments}".strip()
    info["rounds"] = max((x["rounds"] for x in lines), default=0)
    info["additions a nanosecond"] = speeds(args.folder)
    notes = [f"not compared, for this vubridge lacks its option: {n}" for n in args.skipped.split()]
    notes += [f"disturbed: {d}" for d in disturbed(samples)]
    with open(os.path.join(args.folder, "results.json"), "w", encoding="utf-8") as f:
        json.dump({"machine": info, "notes": notes, "results": lines}, f, indent=1, ensure_ascii=False)
    text = table(lines, info, notes)
    with open(os.path.join(args.folder, "table.md"), "w", encoding="utf-8") as f:
        f.write(text)
    with open(os.path.join(args.folder, "summary.md"), "w", encoding="utf-8") as f:
        f.write(summary(lines))
    plots(args.folder, lines)
    print(text)
    print(f"report: {args.folder}: results.json, table.md, summary.md, and plots")


if __name__ == "__main__":
    main()
