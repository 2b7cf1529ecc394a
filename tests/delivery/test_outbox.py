# SPDX-License-Identifier: Apache-2.0
"""Files for an agency that fetches: complete or not there, each once, whatever is killed, full or damaged."""

from __future__ import annotations

import dataclasses
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from delivery_kit import append, gap, mark, open_spool, record, small_disk, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st
from outbox_kit import KEYS, Agency, Delivery, config_of, fetched, stream_config

from lictl.collection.manifests import verify_folder
from lictl.delivery.blocks import BlockKind
from lictl.delivery.filed import FULL
from lictl.delivery.filing import Filing, placed
from lictl.delivery.slots import SlotFile
from lictl.delivery.supervisor import AgencyWorker
from lictl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.spool import Spool

STEPS = st.lists(st.sampled_from(["data", "data", "lost", "gap", "open", "note", "event"]), max_size=30)


def play(spool: Spool, steps: list[str]) -> None:
    """Appends an opening, the steps and an end."""
    mark(spool, BlockKind.OPEN, b"OPENING\n")
    for step in steps:
        if step == "data":
            append(spool, 3)
        elif step == "lost":
            append(spool, 2, lost=5)
        elif step == "gap":
            gap(spool, 4)
        elif step == "open":
            mark(spool, BlockKind.OPEN, b"OPENING\n")
        elif step == "note":
            mark(spool, BlockKind.NOTE, b'{"event":"begin"}\n')
        else:
            mark(spool, BlockKind.EVENT, b"EVENT\n")
    mark(spool, BlockKind.END)


def wanted(steps: list[str]) -> list[bytes]:
    """The contents of the files that the steps lead to."""
    files, something, number = [b"OPENING\n"], False, 0
    for step in steps:
        if step == "open":
            files = [*files, b"OPENING\n"] if something else files
            something = False
            continue
        something = True
        number += {"lost": 5, "gap": 4}.get(step, 0)
        for _ in range({"data": 3, "lost": 2}.get(step, 0)):
            number += 1
            files[-1] += record(number)
        files[-1] += b"EVENT\n" if step == "event" else b""
    return files


@given(STEPS)
@settings(max_examples=25)
def test_files_hold_what_the_spool_held(steps: list[str]) -> None:
    """Whatever comes, the files are the blocks between openings, in order, and their manifests verify."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with open_spool(folder / "W-1") as spool:
            play(spool, steps)
            with Delivery(folder, folder / "out") as delivery:
                assert delivery.run().link.state().phase == "done"
            assert spool.acknowledged == spool.last_block
        files = fetched(folder / "out")
        assert [file.content for file in files] == wanted(steps)
        assert [file.manifest["number"] for file in files] == [*range(1, len(files) + 1)]
        (verdict,) = verify_folder(folder / "out", KEYS.eddsa_pem)
        assert verdict.complete, verdict
        assert verdict.records == 3 * steps.count("data") + 2 * steps.count("lost")
        assert verdict.lost == 5 * steps.count("lost") + 4 * steps.count("gap")


class Killed(BaseException):
    """In place of kill -9: nothing behind it is done."""


def killing(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """From now on the `at`-th step that touches the disk does not happen, and nothing behind it."""
    left = [at]

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*args, **kwargs)

        return step

    for name in ("fsync", "rename", "unlink", "ftruncate", "fchmod"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    monkeypatch.setattr(SlotFile, "write", guarded(SlotFile.write))


def test_killed_at_any_step_nothing_is_lost_or_comes_twice(tmp_path: Path) -> None:
    """A worker that dies at any step leaves whole files alone, and those that were fetched do not come again."""
    steps = ["data", "note", "open", "lost", "event"]
    at, died = 0, True
    while died:
        folder = tmp_path / str(at)
        folder.mkdir()
        taken: dict[int, bytes] = {}
        with open_spool(folder / "W-1") as spool:
            play(spool, steps)
            with pytest.MonkeyPatch.context() as patch:
                killing(patch, at)
                try:
                    Delivery(folder, folder / "out").run()
                    died = False
                except Killed:
                    pass
            fetch_and_delete(folder / "out", taken)
            with Delivery(folder, folder / "out") as delivery:
                assert delivery.run().link.state().phase == "done"
            fetch_and_delete(folder / "out", taken)
            assert [taken[number] for number in sorted(taken)] == wanted(steps), at
            assert [path for path in (folder / "out" / ".unfinished").rglob("*") if path.is_file()] == []
        at += 1
    assert at > 20


def fetch_and_delete(outbox: Path, taken: dict[int, bytes]) -> None:
    """What a careful agency does: takes files that have a manifest, then deletes them."""
    for file in fetched(outbox):
        assert file.manifest["number"] not in taken, "a file came twice"
        taken[file.manifest["number"]] = file.content
    for path in outbox.glob("files/*/*.manifest.json"):
        for each in path.parent.glob(f"{path.name.removesuffix('.manifest.json')}.*"):
            each.unlink()


def test_a_killed_process_and_its_successor(tmp_path: Path) -> None:
    """Processes that are killed while files are written: the chain is whole, and no number is missing."""
    with open_spool(tmp_path / "spool" / "W-1") as spool:
        config = config_of(tmp_path / "spool", tmp_path / "out", stream_config())
        worker = AgencyWorker(Agency("county"), tmp_path / "spool", [stream_config()], transport=config.transport)
        worker.start()
        for turn in range(3):
            for _ in range(20):
                mark(spool, BlockKind.OPEN, b"OPENING\n")
                for _ in range(10):
                    append(spool, 100, size=256)
            worker.wake()
            before = spool.acknowledged
            wait_for(lambda seen=before: spool.acknowledged > seen, what=f"in turn {turn}")
            os.kill(worker.state().pid, 9)
            wait_for(lambda seen=turn: worker.state().restarts > seen, what="for another process")
        mark(spool, BlockKind.END)
        wait_for(lambda: spool.acknowledged == spool.last_block)
        worker.stop()
    (verdict,) = verify_folder(tmp_path / "out", KEYS.eddsa_pem)
    assert verdict.complete, verdict
    assert (verdict.files, verdict.records) == (60, 60_000)
    assert b"".join(file.content.removeprefix(b"OPENING\n") for file in fetched(tmp_path / "out")) == b"".join(
        record(number, 256) for number in range(1, 60_001)
    )


def test_without_a_daemon_the_last_file_is_finished(tmp_path: Path) -> None:
    """A file in work becomes the agency's when the daemon dies: the next daemon begins a new one in any case."""
    with open_spool(tmp_path / "W-1") as spool, Delivery(tmp_path, tmp_path / "out") as delivery:
        mark(spool, BlockKind.OPEN, b"OPENING\n")
        append(spool, 3)
        delivery.run()
        assert fetched(tmp_path / "out") == []
        assert not delivery.link.drained
        delivery.link.orphaned()
        delivery.run()
        assert delivery.link.drained
        assert [file.manifest["records"] for file in fetched(tmp_path / "out")] == [3]
        mark(spool, BlockKind.OPEN, b"OPENING\n")
        append(spool, 2)
        delivery.run()
        assert [file.manifest["first_sequence"] for file in fetched(tmp_path / "out")] == [1, 4]


def test_damage_in_the_spool_stands_in_the_manifest(tmp_path: Path) -> None:
    """Blocks that the disk lost are losses of the file, at their place; the account still closes."""
    with open_spool(tmp_path / "W-1") as spool:
        mark(spool, BlockKind.OPEN, b"OPENING\n")
        for _ in range(3):
            append(spool, 4)
        mark(spool, BlockKind.END)
        (segment,) = (tmp_path / "W-1").glob("*.seg")
        data = bytearray(segment.read_bytes())
        data[data.index(record(5)) + 3] ^= 1
        segment.write_bytes(data)
        with Delivery(tmp_path, tmp_path / "out") as delivery:
            assert delivery.run().link.state().damaged == 1
    (file,) = fetched(tmp_path / "out")
    assert file.manifest["gaps"][0]["kind"] == "damaged"
    assert (file.manifest["records"], file.manifest["lost"], file.manifest["last_sequence"]) == (8, 4, 12)
    assert [line["event"] for line in file.events] == ["loss"]
    (verdict,) = verify_folder(tmp_path / "out", KEYS.eddsa_pem)
    assert verdict.complete


def test_a_full_outbox_holds_the_spool(tmp_path: Path) -> None:
    """Above its quota nothing is written and nothing acknowledged; when the agency has deleted, delivery goes on."""
    with open_spool(tmp_path / "W-1") as spool:
        for _ in range(8):
            mark(spool, BlockKind.OPEN, b"OPENING\n")
            for _ in range(8):
                append(spool, 64, size=2048)
        mark(spool, BlockKind.END)
        taken: dict[int, bytes] = {}
        with Delivery(tmp_path, tmp_path / "out", quota_bytes=4 << 20, bytes=1 << 20) as delivery:
            state = delivery.run().link.state()
            assert (state.phase, state.error) == ("waiting", FULL)
            held = spool.acknowledged
            assert 0 < held < spool.last_block
        for _ in range(8):
            fetch_and_delete(tmp_path / "out", taken)
            with Delivery(tmp_path, tmp_path / "out", quota_bytes=4 << 20, bytes=1 << 20) as delivery:
                delivery.run()
        fetch_and_delete(tmp_path / "out", taken)
        assert sorted(taken) == [*range(1, 9)]
        assert spool.acknowledged == spool.last_block


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small tmpfs")
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A disk that fills up under a file stops delivery with the reason; the file is made again when there is room."""
    with small_disk(tmp_path, "size=2m") as disk, open_spool(tmp_path / "W-1") as spool:
        (disk / "other").write_bytes(bytes(1 << 20))
        mark(spool, BlockKind.OPEN, b"OPENING\n")
        for _ in range(12):
            append(spool, 64, size=2048)
        mark(spool, BlockKind.END)
        with Delivery(tmp_path, disk / "out") as delivery:
            state = delivery.run().link.state()
            assert (state.phase, state.error) == ("waiting", "No space left on device")
            assert (spool.acknowledged, fetched(disk / "out")) == (0, [])
            (disk / "other").unlink()
            assert delivery.run().link.state().phase == "done"
        assert fetched(disk / "out")[0].manifest["records"] == 768


def test_retention_and_modes(tmp_path: Path) -> None:
    """Finished files are for owner and group; those older than the retention go, younger ones stay."""
    with open_spool(tmp_path / "W-1") as spool:
        for _ in range(2):
            mark(spool, BlockKind.OPEN, b"OPENING\n")
            append(spool, 1)
        mark(spool, BlockKind.END)
        with Delivery(tmp_path, tmp_path / "out", retention_days=2) as delivery:
            delivery.run()
            paths = [path for path in (tmp_path / "out" / "files").rglob("*") if path.is_file()]
            assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o640}
            for path in paths:
                if "-000001" in path.name:
                    os.utime(path, (0, time.time() - 3 * 86_400))
            assert delivery._shelf.prune(time.time()) > 0
        assert [file.manifest["number"] for file in fetched(tmp_path / "out")] == [2]
        (verdict,) = verify_folder(tmp_path / "out", KEYS.eddsa_pem)
        assert verdict.ok
        assert not verdict.complete


def test_further_digests(tmp_path: Path) -> None:
    """An agency whose tools know MD5 or SHA-1 alone finds them beside SHA-256."""
    with open_spool(tmp_path / "W-1") as spool:
        play(spool, ["data"])
        with Delivery(tmp_path, tmp_path / "out", digests="md5,sha1") as delivery:
            delivery.run()
    assert {"sha256", "md5", "sha1"} <= set(fetched(tmp_path / "out")[0].manifest["content"])


@pytest.mark.parametrize(
    "plain",
    [
        {"second": 1}, {"seconds": -1}, {"seconds": 1.5}, {"seconds": "x"}, {"seconds": True}, {"bytes": 100},
        {"seconds": 0, "bytes": 0}, {"folder": "relative"}, {"folder": "/"}, {"folder": "/srv/../etc"},
        {"digests": "crc32"}, {"quota_bytes": 1 << 20}, {"seconds": 10**9},
    ],
)  # fmt: skip
def test_settings_that_cannot_be(plain: dict[str, Any]) -> None:
    """A setting that is unknown or makes no sense is refused with what to write."""
    with pytest.raises(UsageError) as raised:
        Filing.of(plain)
    assert raised.value.fix


def test_a_folder_is_found(tmp_path: Path) -> None:
    """Files go below the home where no folder is named; settings may be text, as a command line gives them."""
    transport = config_of(tmp_path, tmp_path / "x", stream_config()).transport
    assert placed(transport, tmp_path / "y").files["folder"] == str(tmp_path / "x")
    bare = dataclasses.replace(transport, files={"seconds": "60"})
    assert Filing.of(placed(bare, tmp_path / "y").files) == Filing(seconds=60, folder=str(tmp_path / "y"))
