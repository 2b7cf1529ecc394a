# SPDX-License-Identifier: Apache-2.0
"""Renders pytest-benchmark's JSON as a page: ``python bench/render.py .build/bench.json docs/benchmarks.md``."""

from __future__ import annotations

import json
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


def _audit(rows: list[Row]) -> list[str]:
    cells: list[list[object]] = []
    for row in rows:
        e = row["extra_info"]
        figure = f"{e['seconds']:.1f} s" if "seconds" in e else f"{e['per_second']:,} a second"
        case = row["name"].removeprefix("test_").replace("[", ", ").rstrip("]")
        cells.append([row["group"], case, figure])
    return _table(["what", "case", "figure"], cells)


SECTIONS = [
    ("test_cost", "Cost of a packet in the capture program", _cost),
    ("test_wire", "Highest rate without loss", _rates),
    ("test_drain", "Native drain and data path", _drain),
    ("test_wire_to_agency", "Latency", _latency),
    ("test_add_to", "From `warrant approve` to the first packet", _arming),
    ("test_audit", "Audit chain", _audit),
]

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
    "acknowledged, within 0.5 s of the last packet. tcpdump and dumpcap have the same filter, 64 MiB of kernel buffer "
    "as one of lictl's rings, and the same memory file system.",
    "Native drain and data path": "A ring of 256 MiB is filled, then emptied; best of seven rounds. The first case "
    "reads and forgets, the second does all that the daemon does, pcapng into a spool in memory.",
    "Latency": "From the time stamp at the hook to the arrival at the agency's socket, 512-byte frames.",
    "Audit chain": "Entries as acts of operators leave them, some 440 bytes each. Verification: every link, every "
    "file's last signature. Appending: one thread, and eight that share groups; each entry signed and synced.",
    "From `warrant approve` to the first packet": "Traffic runs; the clock starts before the command.",
}


def _section_of(row: Row) -> str:
    name, path = row["name"], row["fullname"]
    if "end_of_a_burst" in name or "wire_to_agency" in name:
        return "test_wire_to_agency"
    if "add_to" in name:
        return "test_add_to"
    return str(Path(path.split("::")[0]).stem)


def render(report: dict[str, Any]) -> str:
    """The page."""
    machine = report["machine_info"].get("lictl", {})
    lines = [
        INTRODUCTION,
        f"Machine: {machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gib')} GiB; "
        f"kernel {machine.get('kernel')}; {report['datetime'][:10]}; load before the run {machine.get('load_before')}.",
        "",
    ]
    raw: list[str] = []
    for key, title, table in SECTIONS:
        rows = [row for row in report["benchmarks"] if _section_of(row) == key]
        if not rows:
            continue
        lines += [f"## {title}", "", METHOD[title], "", *table(rows)]
        if key == "test_wire":
            raw = ["## Every trial", "", *_trials(rows)]
    return "\n".join([*lines, *raw]).rstrip() + "\n"


def main() -> None:
    """Command line: source, target."""
    source, target = map(Path, sys.argv[1:3])
    target.write_text(render(json.loads(source.read_text())))


if __name__ == "__main__":
    main()
