# SPDX-License-Identifier: Apache-2.0
"""Renders pytest-benchmark's JSON as a page: ``python bench/render.py .build/bench.json docs/benchmarks.md``.

A run of some benchmarks only replaces their sections; each of those says when, and under which load, it was measured.
Rates without loss may be measured one frame size or one system at a time: the other rows then stay as they are.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def _table(head: list[str], rows: list[list[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows), ""]


def _million(value: float) -> str:
    return f"{value / 1e6:.2f} M"


def _cost(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        extra = row["extra_info"]
        cells.append([row["group"], extra["targets"], extra["peer_ns"], extra["lictl_ns"], f"+{extra['over_ns']}"])
    return _table(["case", "targets", "bare XDP_PASS, ns", "lictl, ns", "difference, ns"], cells)


def _rates(rows: list[Row]) -> list[str]:
    best = {(row["extra_info"]["frame_bytes"], row["extra_info"]["system"]): row["extra_info"] for row in rows}
    cells: list[list[object]] = []
    for (size, system), extra in sorted(best.items()):
        peer = best.get((size, "tcpdump"), {}).get("pps") or 0
        ratio = f"{extra['pps'] / peer:.1f}" if peer else "-"
        cells.append([size, system, _million(extra["pps"]), extra["gbit_s"], ratio, _million(extra["generator_pps"])])
    head = ["frame, bytes", "system", "packets/s without loss", "Gbit/s", "to tcpdump", "generator's most"]
    return _table(head, cells)


def _trials(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = [
        [
            row["extra_info"]["frame_bytes"],
            row["extra_info"]["system"],
            trial["offered_pps"],
            trial["packets"],
            trial["kept"],
            trial["settled_s"],
            "yes" if trial["pass"] else "no",
        ]
        for row in rows
        for trial in row["extra_info"]["trials"]
    ]
    return _table(["frame", "system", "offered/s", "packets", "kept", "settled, s", "pass"], cells)


def _drain(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = [
        [row["group"], e["mode"], e["frame_bytes"], _million(e["records_s"]), e["gbit_s"] or "-"]
        for row in rows
        for e in [row["extra_info"]]
    ]
    return _table(["case", "mode", "frame, bytes", "records/s", "Gbit/s of frames"], cells)


def _latency(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        extra = row["extra_info"]
        load = f"{extra['rate_pps']} packets/s" if "rate_pps" in extra else f"bursts of {extra['burst']}, then silence"
        for which in ("oldest", "newest"):
            if which in extra:
                q = extra[which]
                cells.append([load, which, q["median_ms"], q["p99_ms"], q["max_ms"], q["samples"]])
    return _table(["load", "packet of each delivery", "median, ms", "p99, ms", "most, ms", "deliveries"], cells)


def _arming(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = [
        [e["targets"], e["command_ms"], e["first_packet_taken_ms"], e["first_packet_at_agency_ms"]]
        for row in rows
        for e in [row["extra_info"]]
    ]
    return _table(["targets", "command returns, ms", "first packet taken, ms", "it is at the agency, ms"], cells)


def _encode(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        e = row["extra_info"]
        rate = e["pdus_s"]
        shown = _million(rate) if rate >= 1e5 else f"{rate:,}"
        cells.append([e["format"], e["mode"], e["frame_bytes"], shown, e["gbit_s"] or "-"])
    return _table(["format", "mode", "frame, bytes", "PDUs/s", "Gbit/s of IP packets"], cells)


def _audit(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        e = row["extra_info"]
        figure = f"{e['seconds']:.1f} s" if "seconds" in e else f"{e['per_second']:,} a second"
        case = row["name"].removeprefix("test_").replace("[", ", ").rstrip("]")
        cells.append([row["group"], case, figure])
    return _table(["what", "case", "figure"], cells)


def _commands(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        e = row["extra_info"]
        if "place" not in e:
            continue
        then = "command has answered" if row["group"] == "revoke" else "it is at the agency"
        for what, q in ((e["what"], e), (then, e["answer"])):
            times = [q[name] for name in ("median_ms", "p90_ms", "p99_ms", "max_ms")]
            cells.append([row["group"], e["place"], what, *times, e["rounds"]])
    head = ["command", "home in", "until", "median, ms", "p90, ms", "p99, ms", "most, ms", "rounds"]
    return _table(head, cells) if cells else []


def _orders(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        e = row["extra_info"]
        if "place" in e:
            continue
        figure = e["seconds"]
        cells.append([e["what"], f"{figure:.2f} s" if figure >= 1 else f"{figure * 1e3:.1f} ms"])
        if "submit_s" in e:
            cells.append([f"{e['what']}: adding and submitting before", f"{e['submit_s']:.2f} s"])
        if "start_s" in e:
            cells.append([f"{e['what']}: start of the daemon with it, until it answers", f"{e['start_s']:.2f} s"])
    return _table(["what", "figure"], cells) if cells else []


def _warrants(rows: list[Row]) -> list[str]:
    return _commands(rows) + _orders(rows)


SECTIONS = [
    ("test_cost", "Cost of a packet in the capture program", _cost),
    ("test_wire", "Highest rate without loss", _rates),
    ("test_drain", "Native drain and data path", _drain),
    ("test_encode", "Encoding the handover formats", _encode),
    ("test_wire_to_agency", "Latency", _latency),
    ("test_add_to", "From `warrant approve` to the first packet", _arming),
    ("test_warrants", "Warrants", _warrants),
    ("test_audit", "Audit chain", _audit),
]
LAST = "Every trial"
BY_SYSTEM = ("Highest rate without loss", LAST)
"""Sections whose rows belong to a frame size and a system, their first columns."""
BUSY = 1.0
"""A load above this before a run means that others worked beside it."""

INTRODUCTION = """# Benchmarks

Written by `make bench`; edit `bench/`, not this page. Everything runs on one machine: generator and kernel share of the
capture on CPU 0, the measured system on CPU 1, over a veth pair in network namespaces, files in memory. Read the
figures as ratios to the peer of the same run: the machine is small, virtual and noisy.
"""

METHOD = {
    "Cost of a packet in the capture program": "`BPF_PROG_TEST_RUN`, 25 rounds, alternating with a bare `XDP_PASS`; "
    "the least of each is stated. A miss is a packet of nobody under order.",
    "Highest rate without loss": "Mirror port, content mode, every packet is the target's. Live frames of "
    "`BPF_PROG_TEST_RUN` (up to 3,400 bytes) or tcpreplay (9,000 bytes); first as fast as the generator goes, then "
    "bisection in six steps. *lictl to agency* passes only where all is at the agency, synced to its disk and "
    "acknowledged, within 0.5 s of the last packet; *in TLS* the same in mutual TLS 1.3. *ETSI to agency* is TS 102 "
    "232 raw on a connection: it passes where the agency, which keeps the octets in a file as they come, has every "
    "packet of the wire in the same time. *lictl to memory* is program, ring and native drain with "
    "nothing behind them; offered = drained + lost is checked to the packet. *rendered* also writes each packet as "
    "pcapng into memory. *bare XDP_DROP* is what generator and wire bring with no capture at all: the program's own "
    "cost is the difference of the two times a packet. tcpdump and dumpcap have the same filter, 64 MiB of kernel "
    "buffer as one of lictl's rings, and the same memory file system.\n\n"
    "What limits: into memory the generator's CPU, which also runs the program; at 64, 512 and 1,500 bytes the reader "
    "kept up with all that it brought. With parts of the program left out, on a machine under load, a 64-byte hit was "
    "some 40 ns cheaper without its own time (`bpf_ktime_get_ns`), and some 55 ns without reserve, fields and submit; "
    "the rest was not taken apart. Rings of 1, 8 and 16 MiB were not measurably faster than one of 64 MiB, and lost "
    "packets sooner. What limits from memory to spool and agency was not taken apart.",
    "Native drain and data path": "A ring of 256 MiB is filled, then emptied; best of seven rounds. The first case "
    "reads and forgets, the second does all that the daemon does, pcapng into a spool in memory.",
    "Encoding the handover formats": "4,096 records in memory, encoded again and again on one core, packets copied "
    "into the output; best of 15 rounds. asn1tools and pycrate encode the same IPCC of TS 102 232-3 from the schema, "
    "in the same run.",
    "Latency": "From the time stamp at the hook to the arrival at the agency's socket, 512-byte frames.",
    "Audit chain": "Entries as acts of operators leave them, some 440 bytes each. Verification: every link, every "
    "file's last signature. Appending: one thread, and eight that share groups; each entry signed and synced.",
    "From `warrant approve` to the first packet": "Traffic runs; the clock starts before the command.",
    "Warrants": "A real daemon; packets are runs of its pinned program (`BPF_PROG_TEST_RUN`) on loopback, without a "
    "pause, from a process of their own. The clock starts before the command is sent to the control socket. The last "
    "packet taken after a revocation is the last one that the kernel counted. Home in memory, or on this machine's "
    "disk, where each act waits for the audit chain to be on it.",
}


def _section_of(row: Row) -> str:
    name, path = row["name"], row["fullname"]
    if "end_of_a_burst" in name or "wire_to_agency" in name:
        return "test_wire_to_agency"
    if "add_to" in name:
        return "test_add_to"
    return str(Path(path.split("::")[0]).stem)


def sections(report: dict[str, Any]) -> dict[str, str]:
    """Text of each section that was measured, by its title."""
    found: dict[str, str] = {}
    for key, title, table in SECTIONS:
        rows = [row for row in report["benchmarks"] if _section_of(row) == key]
        if not rows:
            continue
        found[title] = "\n".join([f"## {title}", "", METHOD[title], "", *table(rows)])
        if key == "test_wire":
            found[LAST] = "\n".join([f"## {LAST}", "", *_trials(rows)])
    return found


def _measured(report: dict[str, Any]) -> str:
    load = report["machine_info"].get("lictl", {}).get("load_before")
    busy = load is not None and load > BUSY
    note = " **Measured under load: others worked on the same cores, read it as an upper bound.**" if busy else ""
    return f"{report['datetime'][:10]}; load before the run {load:.1f}.{note}"


_ROW = re.compile(r"(?m)^\| (\d+) \| ([^|]+) \|.*\n")


def _with_other_rows(text: str, before: str) -> str:
    """The section with the rows of those frame sizes and systems that were not measured again, in order."""
    rows = [((int(row[1]), row[2]), row[0]) for row in _ROW.finditer(text)]
    measured = {key for key, _ in rows}
    rows += [(key, row[0]) for row in _ROW.finditer(before) if (key := (int(row[1]), row[2])) not in measured]
    head = _ROW.sub("", text).rstrip("\n")
    return f"{head}\n{''.join(row for _, row in sorted(rows, key=lambda pair: pair[0]))}"


def render(report: dict[str, Any], before: str = "") -> str:
    """The page.

    Args:
        report: of pytest-benchmark.
        before: the page as it is; its sections stay where the report has not measured them.
    """
    machine = report["machine_info"].get("lictl", {})
    found = sections(report)
    titles = [title for _, title, _ in SECTIONS] + [LAST]
    head, *old = re.split(r"(?m)^(?=## )", before)
    kept = {text.split("\n", 1)[0].removeprefix("## "): text.rstrip() + "\n" for text in old}
    kept = {title: text for title, text in kept.items() if title in titles}
    for title in BY_SYSTEM:
        if title in kept and title in found:
            found[title] = _with_other_rows(found[title], kept[title])
    if set(kept) <= set(found):
        head = (
            f"{INTRODUCTION}\nMachine: {machine.get('cpu')}, {machine.get('cores')} cores, "
            f"{machine.get('memory_gib')} GiB; kernel {machine.get('kernel')}; {_measured(report)}\n"
        )
    else:
        for title, text in found.items():
            name, rest = text.split("\n\n", 1)
            found[title] = f"{name}\n\nMeasured apart from the rest: {_measured(report)}\n\n{rest}"
    page = [head.rstrip() + "\n", *((kept | found)[title] for title in titles if title in kept | found)]
    return "\n".join(page).rstrip() + "\n"


def main() -> None:
    """Command line: source, target."""
    source, target = map(Path, sys.argv[1:3])
    before = target.read_text() if target.exists() else ""
    target.write_text(render(json.loads(source.read_text()), before))


if __name__ == "__main__":
    main()
