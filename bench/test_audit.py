# SPDX-License-Identifier: Apache-2.0
"""The audit chain: verification of 1,000,000 entries, and entries a second that are on disk."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from lictl.audit.chain import Chain
from lictl.audit.verify import verify
from lictl.home import Home
from lictl.keys.signer import KeySigner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRIES = 1_000_000
APPENDS = 2_000
SIGNER = KeySigner(bytes(32))
ACTOR = {"uid": 64101, "name": "alice", "roles": ["operator"], "login_uid": 64101, "login": "alice", "pid": 4711}


def append(chain: Chain, number: int, *, sync: bool = True) -> None:
    """What an act of an operator leaves."""
    chain.append("read.warrant", actor=ACTOR, subject=f"w{number}", after={"what": "show"}, sync=sync)


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A chain of a million entries. Every hundredth ends a group: one fsync for many keeps the making short."""
    root = tmp_path_factory.mktemp("million") / "home"
    root.mkdir(mode=0o700)
    with Chain.open(Home(root), SIGNER) as chain:
        for number in range(ENTRIES - 1):
            append(chain, number, sync=number % 100 == 99)
    yield root / "audit"
    for path in (root / "audit").iterdir():
        path.unlink()


@pytest.mark.parametrize("processes", [1, None], ids=["one process", "every CPU"])
def test_verify(benchmark: Any, million: Path, processes: int | None) -> None:
    """Every link, every file's last signature."""
    benchmark.group = "audit verify, 1,000,000 entries"
    verdict = benchmark.pedantic(
        verify, args=(million, SIGNER.public_key), kwargs={"processes": processes}, rounds=3, iterations=1
    )
    assert verdict.good
    assert verdict.entries == ENTRIES
    size = sum(path.stat().st_size for path in million.glob("*.jsonl"))
    benchmark.extra_info.update(entries=ENTRIES, bytes=size, files=verdict.files, seconds=benchmark.stats["min"])


@pytest.mark.parametrize("threads", [1, 8])
def test_append(benchmark: Any, tmp_path: Path, threads: int) -> None:
    """Signed and synced before `append` returns; threads share groups."""
    benchmark.group = "audit append, on disk"
    root = tmp_path / "home"
    root.mkdir(mode=0o700)
    each = APPENDS // threads
    with Chain.open(Home(root), SIGNER) as chain:

        def run() -> float:
            workers = [
                threading.Thread(target=lambda: [append(chain, number) for number in range(each)])
                for _ in range(threads)
            ]
            began = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return time.perf_counter() - began

        benchmark.pedantic(run, rounds=3, iterations=1)
    benchmark.extra_info.update(threads=threads, per_second=round(each * threads / benchmark.stats["min"]))
