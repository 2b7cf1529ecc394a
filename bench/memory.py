# SPDX-License-Identifier: Apache-2.0
"""From the wire into user memory, with nothing behind it.

The capture program at a mirror port, one content order on TARGET, and the daemon's own loop around the native drain:
record heads in a batch of user memory, frames in the ring's pages, which are mapped there. With `render` each batch is
also numbered and written as pcapng into user memory, as for the spool, and then forgotten.

``python -m bench.memory INTERFACE [render]`` is the measured process. It answers each line of its input with its counts
as a line of JSON, and ends with its input.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from bench.system import Outcome, pinned
from bench.wire import TARGET, Wire
from lictl.handover import StreamInfo, encoder
from lictl.mediation.mediator import Mediator
from lictl.mediation.stream import Stream
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables
from lictl.service.alarms import Alarms
from lictl.service.datapath import CAPACITY, DataPath
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RING = 64 << 20  # bytes, as the daemon's default
FOREVER = 2**62
CLAIM = 0 | 1 << 12


class Memory:
    """The measured process on CPU 1, as a system of `bench.system`.

    Args:
        render: write each batch as pcapng into memory, too.
    """

    def __init__(self, wire: Wire, folder: Path, render: bool = False) -> None:
        self._wire, self._folder, self._render = wire, folder, render

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "log"
        argv = [sys.executable, "-m", "bench.memory", "in", *(["render"] if self._render else [])]
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                pinned(self._wire, argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True
            )
        try:
            self._counts()
            self._before = self._wire.received()
        except BaseException:
            text = log.read_text()
            self.__exit__()
            raise RuntimeError(f"the reader does not start: {text}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _counts(self) -> dict[str, int]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def outcome(self) -> Outcome:
        """kept: records drained. Fails where they and the counted losses are not exactly what came over the wire."""
        start = time.monotonic()
        while True:
            counts = self._counts()
            if counts["drained"] + counts["lost"] == counts["matched"]:
                break
            if time.monotonic() - start > 10:
                raise RuntimeError(f"does not come to rest: {counts}")
            time.sleep(0.005)
        settled = time.monotonic() - start
        offered = self._wire.received() - self._before
        if offered != counts["drained"] + counts["lost"] or counts["unclaimed"]:
            raise RuntimeError(f"{offered} packets came over the wire, accounted for are {counts}")
        return Outcome(offered, counts["drained"], settled)


class _Forget:
    """A spool that keeps nothing."""

    position = b""
    next_sequence = 1

    def append(self, *_: Any, **__: Any) -> None:
        """Forgets the block."""


class _Order:
    mode = "content"
    starts_ns = 0
    ends_ns = FOREVER


def _rendering(probe: Probe) -> Mediator:
    info = StreamInfo(
        liid="BENCH1", case_id="CASE", mode="content", operator="BENCH", element="bench", country="US",
        agency="agency", interfaces=lambda ifindex: f"if{ifindex}", options={},
    )  # fmt: skip
    return Mediator([Stream(CLAIM, "agency", encoder("pcapng", info), _Forget(), probe.incarnation)])


def _serve(probe: Probe, render: bool) -> None:
    mediator = _rendering(probe)
    live = {CLAIM: _Order()}
    take: Callable[[Batch], None] = (lambda batch: mediator.take(batch, live)) if render else (lambda _: None)
    path = DataPath(probe, Batch(CAPACITY), take, lambda _: None, Alarms())
    path.start()
    for _ in sys.stdin:
        counts = probe.slot_counts(0)
        lost = counts.lost_ring + counts.lost_frame + counts.lost_matches
        answer = {
            "matched": counts.matched, "lost": lost, "drained": path.records,
            "unclaimed": mediator.unclaimed + path.given_up,
        }  # fmt: skip
        print(json.dumps(answer), flush=True)
    path.stop()


def main() -> None:
    """Command line: interface, "render" or nothing."""
    ifindex = socket.if_nametoindex(sys.argv[1])
    with Probe.open(None, ring_bytes=RING) as probe:
        tables = KernelTables(probe)
        tables.ports(port_plan([PortRequest(ifindex, "mirror", drop=True)]))
        order = ArmedOrder(0, 1, abi.MODE_CONTENT, 0, FOREVER, 0, (parse(f"ip:{TARGET}"),))
        tables.apply(None, compile_tables([order]))
        probe.attach(ifindex, abi.AT_INGRESS)
        _serve(probe, sys.argv[2:] == ["render"])


if __name__ == "__main__":
    main()
