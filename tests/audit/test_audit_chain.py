# SPDX-License-Identifier: Apache-2.0
"""Appending: what is acknowledged is on disk, linked and signed, and survives crashes and full disks."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import bounded
import pytest
from chains import ALICE, OTHER, PEM, SIGNER, Kept, files_of, home, verify_elsewhere, write_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.audit.chain import Chain, unresolved
from lictl.audit.entry import is_intent, pack_entry, parse_entry
from lictl.audit.read import Query, entries, find, latest
from lictl.audit.verify import verify
from lictl.errors import IntegrityError, MachineError, UnavailableError
from lictl.home import Home

if TYPE_CHECKING:
    from pathlib import Path


def test_a_chain_verifies_by_its_description_alone(tmp_path: Path) -> None:
    """A second reading of the format, with openssl, agrees."""
    folder = write_chain(tmp_path, [1, 3, 2, 20, 1])
    assert len(files_of(folder)) > 1
    assert verify_elsewhere(folder, PEM, tmp_path) == 1 + 27
    assert verify(folder, SIGNER.public_key).good


def test_files_are_private(tmp_path: Path) -> None:
    """The folder 0700, every file 0600."""
    folder = write_chain(tmp_path, [5, 5])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_numbers_go_on_after_reopening(tmp_path: Path) -> None:
    """Nothing is added by opening and closing, and numbers have no gap."""
    site = home(tmp_path)
    for turn in range(4):
        with Chain.open(site, SIGNER) as chain:
            assert chain.append("read.status", actor=ALICE) == turn + 2
    assert [entry.seq for entry in entries(site.root / "audit")] == [1, 2, 3, 4, 5]


def test_an_entry_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    """A second reader sees it, signed."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER) as chain:
        seq = chain.append("warrant.add", actor=ALICE, subject="w1", before={"a": 1}, after={"a": [2]}, sealed=b"s")
        (entry,) = find(chain.folder, [seq])
        assert (entry.action, entry.subject, entry.before, entry.after, entry.sealed, entry.actor) == (
            "warrant.add", "w1", {"a": 1}, {"a": [2]}, b"s", ALICE,
        )  # fmt: skip
        assert verify(chain.folder, SIGNER.public_key).head == chain.head


def test_only_one_process_appends(tmp_path: Path) -> None:
    """The second one is told; after the first has closed it may."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER), pytest.raises(UnavailableError, match="Another process"):
        Chain.open(site, SIGNER)
    Chain.open(site, SIGNER).close()


def test_threads_share_groups(tmp_path: Path) -> None:
    """Entries of many threads get each its own number, in one order, and all are signed."""
    site = home(tmp_path)
    numbers: list[int] = []
    with Chain.open(site, SIGNER) as chain:

        def work() -> None:
            numbers.extend(chain.append("read.x", actor=ALICE) for _ in range(25))

        bounded.at_once(*[work] * 8)
        assert sorted(numbers) == list(range(2, 202))
        assert verify(chain.folder, SIGNER.public_key).entries == 201


@given(
    actor=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    subject=st.none() | st.text(max_size=10),
    after=st.none()
    | st.dictionaries(
        st.text(max_size=4), st.recursive(st.none() | st.booleans() | st.text(max_size=4), st.lists, max_leaves=4)
    ),
    sealed=st.none() | st.binary(max_size=20),
)
def test_entries_survive_their_lines(
    actor: dict, subject: str | None, after: dict | None, sealed: bytes | None
) -> None:
    """Any text, newlines and surrogates of JSON included, is one line of ASCII and comes back."""
    line, digest = pack_entry(
        "0" * 64, 7, 1_700_000_000_123_456_789, "host", actor=actor, action="read.x", subject=subject, before=None,
        after=after, sealed=sealed,
    )  # fmt: skip
    assert b"\n" not in line
    assert line.isascii()
    entry = parse_entry(line)
    assert (entry.actor, entry.subject, entry.after, entry.sealed, entry.hash) == (
        actor,
        subject,
        after,
        sealed,
        digest,
    )


# ---- intents


def test_intents_stay_open_until_their_outcome(tmp_path: Path) -> None:
    """Done and failed resolve; reads and notes need no outcome; the rest is named after a restart."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER) as chain:
        first = chain.append("warrant.approve", actor=ALICE, subject="w1")
        second = chain.append("warrant.revoke", actor=ALICE, subject="w2")
        third = chain.append("warrant.arm", actor=ALICE, subject="w3")
        chain.append("read.warrant", actor=ALICE, subject="w1")
        chain.done(first)
        chain.failed(third, "the kernel refused")
        assert chain.open_intents() == [second]
    with Chain.open(site, SIGNER) as chain:
        assert [(entry.seq, entry.action, entry.subject) for entry in unresolved(chain)] == [
            (second, "warrant.revoke", "w2")
        ]
        chain.done(second)
        assert unresolved(chain) == []


def test_what_is_an_intent() -> None:
    """Changes are; looks, notes and outcomes are not."""
    assert is_intent("warrant.add")
    assert not any(map(is_intent, ["done", "failed", "read.warrant", "chain.begin", "alarm.clock", "reconcile.found"]))


# ---- crashes

APPEND_FOR_EVER = """
import sys
from pathlib import Path
from chains import ALICE, SIGNER
from lictl.audit.chain import Chain
from lictl.home import Home
chain = Chain.open(Home(Path(sys.argv[1])), SIGNER, file_bytes=3000)
while True:
    print(chain.append("warrant.add", actor=ALICE, after={"text": "x" * 200}), flush=True)
"""


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.path.dirname(__file__), **more}  # noqa: PTH120


@pytest.mark.parametrize("count", [1, 5, 40])
def test_kill_while_appending_loses_nothing_that_was_acknowledged(tmp_path: Path, count: int) -> None:
    """kill -9 after some entries: the chain opens, verifies, and has every number that was printed."""
    site = home(tmp_path)
    command = [sys.executable, "-c", APPEND_FOR_EVER, str(site.root)]
    with bounded.running(command, stdout=subprocess.PIPE, env=_environment()) as child:
        told = [int(bounded.line(child.stdout)) for _ in range(count)]
        bounded.kill(child)
        rest: bytes = child.stdout.read()
    told += [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    with Chain.open(site, SIGNER) as chain:
        assert chain.damage == ""
        assert chain.head.seq >= told[-1]
        assert len(chain.open_intents()) >= len(told)
    assert verify(site.root / "audit", SIGNER.public_key).good


POINTS = [
    "audit.file.made", "audit.group.begun", "audit.group.written", "audit.group.synced", "audit.group.anchored",
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("hit", [1, 2, 9])
def test_kill_at_each_step_leaves_a_chain_that_goes_on(tmp_path: Path, point: str, hit: int) -> None:
    """At every fault point, early and late, with rotation of files in between."""
    site = home(tmp_path)
    code = APPEND_FOR_EVER.replace("SIGNER, file", "SIGNER, Kept(), file").replace(
        "ALICE, SIGNER", "ALICE, SIGNER, Kept"
    )
    env = _environment(LICTL_FAULT=f"{point}:{hit}")
    ended = subprocess.run(
        [sys.executable, "-c", code, str(site.root)], env=env, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    told = [int(line) for line in ended.stdout.split()]
    with Chain.open(site, SIGNER) as chain:
        assert chain.damage == ""
        assert chain.head.seq >= (told or [1])[-1]
        chain.append("read.x", actor=ALICE)
    assert verify(site.root / "audit", SIGNER.public_key).good


@pytest.mark.parametrize("point", ["audit.recover.kept", "audit.recover.cut"])
def test_kill_while_recovering_is_recovered(tmp_path: Path, point: str) -> None:
    """A crash while the torn end is cut: the next start does it, and what was cut is kept."""
    folder = write_chain(tmp_path, [3])
    with files_of(folder)[-1].open("ab") as file:
        file.write(b'{"prev":"half')
    code = f"from pathlib import Path\nfrom chains import SIGNER\nfrom lictl.audit.chain import Chain\n" \
           f"from lictl.home import Home\nChain.open(Home(Path({str(folder.parent)!r})), SIGNER)"  # fmt: skip
    env = _environment(LICTL_FAULT=f"{point}:1")
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=False).returncode == -signal.SIGKILL
    Chain.open(tmp_home(folder), SIGNER).close()
    assert verify(folder, SIGNER.public_key).good
    assert [path.read_bytes() for path in folder.glob("*.torn-*")] == [b'{"prev":"half']


def tmp_home(folder: Path) -> Home:
    """The home of a chain's folder."""
    return Home(folder.parent)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_group_torn_at_any_byte_is_cut_and_recorded(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """As after power loss: whatever part of the last group is there, it opens, tells what it cut, and verifies."""
    tmp_path = tmp_path_factory.mktemp("torn")
    folder = write_chain(tmp_path, [2, 1], file_bytes=1 << 20)
    path = files_of(folder)[0]
    whole = path.read_bytes()
    before = whole[: whole.rindex(b'{"prev"')]
    at = data.draw(st.integers(len(before) + 1, len(whole) - 1))
    path.write_bytes(whole[:at])
    assert not verify(folder, SIGNER.public_key).good
    with Chain.open(tmp_home(folder), SIGNER) as chain:
        assert chain.damage == ""
    assert verify(folder, SIGNER.public_key).good
    (last,) = latest(folder, 1)
    assert last.action == "chain.recovered"
    assert last.after is not None
    assert last.after["bytes"] == at - len(before)
    assert path.read_bytes().startswith(before)


# ---- the disk


def test_a_full_disk_leaves_the_chain_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry is refused, half of it is taken back, and appending goes on when there is room."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER) as chain:
        real = os.write
        calls = iter([60])

        def full(fd: int, data: bytes) -> int:
            for size in calls:
                return real(fd, bytes(data)[:size])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(MachineError, match="cannot be written"):
            chain.append("warrant.add", actor=ALICE)
        monkeypatch.undo()
        assert chain.open_intents() == []
        assert chain.append("warrant.add", actor=ALICE) == 2
    assert verify(site.root / "audit", SIGNER.public_key).good


def test_after_a_failed_fsync_nothing_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk holds is unknown then: every further entry is refused until the chain is opened anew."""
    site = home(tmp_path)
    chain = Chain.open(site, SIGNER)

    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(MachineError):
        chain.append("warrant.add", actor=ALICE)
    monkeypatch.undo()
    with pytest.raises(MachineError, match="could not be written"):
        chain.append("warrant.add", actor=ALICE)
    with pytest.raises(MachineError):
        chain.close()
    Chain.open(site, SIGNER).close()
    assert verify(site.root / "audit", SIGNER.public_key).good


# ---- damage


def test_a_cut_chain_is_not_opened_silently(tmp_path: Path) -> None:
    """With the anchor ahead of the files, opening is refused; going on is possible, and stays visible for ever."""
    anchor = Kept()
    folder = write_chain(tmp_path, [2, 2, 2], file_bytes=1 << 20, anchor=anchor)
    path = files_of(folder)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    with pytest.raises(IntegrityError, match="end was removed"):
        Chain.open(tmp_home(folder), SIGNER, anchor)
    with Chain.open(tmp_home(folder), SIGNER, anchor, go_on=True) as chain:
        assert "end was removed" in chain.damage
        assert chain.head.seq == 8  # numbers are not given twice
    verdict = verify(folder, SIGNER.public_key, anchor)
    assert [(fault.kind, fault.entry) for fault in verdict.faults] == [("removed", 6)]


def test_a_removed_folder_is_told(tmp_path: Path) -> None:
    """A chain that is gone as a whole is not begun again as if there had been none."""
    anchor = Kept()
    folder = write_chain(tmp_path, [2], anchor=anchor)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(IntegrityError):
        Chain.open(tmp_home(folder), SIGNER, anchor)


def test_another_key_does_not_go_on_with_a_chain(tmp_path: Path) -> None:
    """Replaced keys are told when the chain is opened."""
    folder = write_chain(tmp_path, [2])
    with pytest.raises(IntegrityError, match="key"):
        Chain.open(tmp_home(folder), OTHER)


def test_an_anchor_that_fails_stops_nobody(tmp_path: Path) -> None:
    """The entry is safe; that the head was not kept is shown."""

    class Broken(Kept):
        def write(self, seq: int, hash: str) -> None:
            raise OSError("gone")

    with Chain.open(home(tmp_path), SIGNER, Broken()) as chain:
        chain.append("warrant.add", actor=ALICE)
        assert chain.anchor_error == "OSError"


# ---- reading


def test_questions_find_their_entries(tmp_path: Path) -> None:
    """By number, action, subject and actor, over several files; the latest are the last ones."""
    folder = write_chain(tmp_path, [4] * 12)
    everything = list(entries(folder))
    assert [entry.seq for entry in everything] == list(range(1, 50))
    assert len(files_of(folder)) > 2
    for query in (
        Query(first=7, last=20),
        Query(action="read."),
        Query(action="warrant.add", subject="w3"),
        Query(actor="alice"),
        Query(actor="64101", first=40),
        Query(since_ns=everything[10].time_ns, until_ns=everything[30].time_ns),
    ):
        wanted = [entry for entry in everything if query.takes(entry)]
        assert wanted
        assert list(entries(folder, query)) == wanted
        assert latest(folder, 5, query) == wanted[-5:]
    assert [entry.seq for entry in find(folder, [44, 3, 999])] == [3, 44]


def test_entries_are_json_for_any_reader(tmp_path: Path) -> None:
    """What `to_json` gives is what stands in the file."""
    folder = write_chain(tmp_path, [3])
    lines = [json.loads(line) for line in files_of(folder)[0].read_text().splitlines()]
    assert [line for line in lines if "prev" in line] == [entry.to_json() for entry in entries(folder)]
