# SPDX-License-Identifier: Apache-2.0
"""Highest rate without loss, from the wire to user memory, spool and agency, beside tcpdump and dumpcap.

Every packet is the target's, content mode, mirror port.  A first trial as fast as the generator goes, then bisection.
OpenLI on a machine of this kind: 160 k packets/s at 64 B, 60 k/s at 1,400 B, to the agency.
"""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from bench.memory import Memory
from bench.system import Drop, Handover, Lictl, Outcome, System, Tcpdump, memory_folder
from bench.wire import Wire, frame_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.programs import Programs

SIZES = [64, 512, 1500, 9000]
AGENCIES = {
    "lictl to agency": Handover(),
    "lictl to agency in TLS": Handover(tls=True),
    "ETSI to agency": Handover("etsi-102232"),
    "ETSI to agency in TLS": Handover("etsi-102232", tls=True),
}
SYSTEMS = [
    "bare XDP_DROP", "lictl to memory", "lictl to memory, rendered", "lictl to spool", *AGENCIES, "tcpdump", "dumpcap",
]  # fmt: skip
TRIAL_BYTES = 2_000_000_000  # of frames: what a trial may leave in memory
TRIAL_SECONDS = 2.0
STEPS = 6
SETTLED_S = 0.5  # later than this after the last packet is a backlog, not a rate


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """Fresh folders in memory, one a trial."""
    root = memory_folder()
    try:
        yield (root / f"trial{number}" for number in itertools.count())
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _trial(wire: Wire, system: Callable[[], System], size: int, rate: float | None) -> tuple[float, Outcome]:
    """The rate in fact offered, and what became of it."""
    guess = rate or 2e6
    with system() as running:
        offer = wire.send(frame_of(size), min(TRIAL_SECONDS, TRIAL_BYTES / size / guess), rate)
        return offer.rate, running.outcome()


def _highest(wire: Wire, system: Callable[[], System], size: int, at_once: bool) -> dict[str, Any]:
    trials: list[dict[str, Any]] = []

    def passes(rate: float | None) -> tuple[bool, float]:
        offered, outcome = _trial(wire, system, size, rate)
        real = outcome.offered > 0 and outcome.lossless and (not at_once or outcome.settled_s <= SETTLED_S)
        trials.append(
            {
                "offered_pps": round(offered),
                "packets": outcome.offered,
                "kept": outcome.kept,
                "settled_s": round(outcome.settled_s, 3),
                "pass": real,
            }
        )
        return real, offered

    good, top = passes(None)
    best = top if good else 0.0
    low, high = 0.0, top
    for _ in range(0 if good else STEPS):
        middle = (low + high) / 2
        good, offered = passes(middle)
        if good:
            low, best = middle, max(best, offered)
        else:
            high = middle
    return {
        "pps": round(best),
        "gbit_s": round(best * size * 8 / 1e9, 2),
        "generator_pps": round(top),
        "trials": trials,
    }


def _system(name: str, wire: Wire, folders: Iterator[Path], programs: Programs) -> Callable[[], System]:
    systems: dict[str, Callable[[], System]] = {
        "bare XDP_DROP": lambda: Drop(wire, programs),
        "lictl to memory": lambda: Memory(wire, next(folders)),
        "lictl to memory, rendered": lambda: Memory(wire, next(folders), render=True),
        "lictl to spool": lambda: Lictl(wire, next(folders), agency=False),
        **{each: lambda way=way: Lictl(wire, next(folders), handover=way) for each, way in AGENCIES.items()},  # type: ignore[misc]
        "tcpdump": lambda: Tcpdump(wire, next(folders), programs),
        "dumpcap": lambda: Tcpdump(wire, next(folders), programs, "dumpcap"),
    }
    return systems[name]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("size", SIZES)
def test_highest_rate_without_loss(
    benchmark: Any, programs: Programs, folders: Iterator[Path], size: int, name: str
) -> None:
    """One system at one frame size."""
    benchmark.group = f"rate without loss, {size} B"
    with Wire(programs) as wire:
        system = _system(name, wire, folders, programs)
        found = benchmark.pedantic(lambda: _highest(wire, system, size, name in AGENCIES), rounds=1)
    benchmark.extra_info.update(system=name, frame_bytes=size, **found)
