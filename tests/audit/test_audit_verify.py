# SPDX-License-Identifier: Apache-2.0
"""Verification: whatever is done to a chain is found, and the place is named."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import bounded
import pytest
from chains import ALICE, OTHER, SIGNER, Kept, damaged, files_of, home, write_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.audit.anchor import Head, code, parse_code
from lictl.audit.chain import Chain
from lictl.audit.entry import GENESIS, HASH_TAIL, hash_of, link_of, pack_signature, parse_entry, parse_signature
from lictl.audit.verify import verify
from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from pathlib import Path

KEY = SIGNER.public_key


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kept]:
    """A chain of several files with groups of one and of many; never changed."""
    anchor = Kept()
    folder = write_chain(tmp_path_factory.mktemp("chain"), [1, 4, 1, 7, 2, 3, 1, 1, 5, 6], anchor=anchor)
    assert len(files_of(folder)) >= 3
    return folder, anchor


def all_lines(folder: Path) -> list[tuple[Path, int, bytes]]:
    """Every line with its file and index."""
    return [
        (path, index, line)
        for path in files_of(folder)
        for index, line in enumerate(path.read_bytes().splitlines(keepends=True))
    ]


def rewrite(path: Path, lines: list[bytes]) -> None:
    """Other lines for a file."""
    path.write_bytes(b"".join(lines))


def test_a_good_chain_is_good(chain: tuple[Path, Kept]) -> None:
    """Counts, head and key are told; thorough and quick agree."""
    folder, anchor = chain
    for thorough in (False, True):
        verdict = verify(folder, KEY, anchor, thorough=thorough)
        assert verdict.faults == []
        assert (verdict.entries, verdict.first, verdict.files) == (32, 1, len(files_of(folder)))
        assert verdict.head == anchor.read()
        verdict.check()


def test_several_processes_say_the_same(chain: tuple[Path, Kept], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also about damage; progress reaches the whole."""
    folder, anchor = chain
    monkeypatch.setattr("lictl.audit.verify.INLINE_BYTES", 0)
    seen: list[tuple[int, int, int]] = []
    assert verify(folder, KEY, anchor, lambda *step: seen.append(step), processes=2).good
    size = sum(path.stat().st_size for path in files_of(folder))
    assert seen[-1] == (32, size, size)
    assert len(seen) == len(files_of(folder))
    with damaged(folder) as copy:
        path = files_of(copy)[1]
        path.write_bytes(path.read_bytes().replace(b"alice", b"mallo", 1))
        assert [fault.to_json() for fault in verify(copy, KEY, anchor, processes=2).faults] == [
            fault.to_json() for fault in verify(copy, KEY, anchor, processes=1).faults
        ]


# ---- anything at all


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_edited_byte_is_found(chain: tuple[Path, Kept], data: st.DataObject) -> None:
    """One byte anywhere, also in the very last signature; with and without an anchor. The file is named."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path = data.draw(st.sampled_from(files_of(copy)))
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
        path.write_bytes(bytes(content))
        faults = verify(copy, KEY, data.draw(st.sampled_from([None, anchor]))).faults
        assert faults
        following = path.with_name(f"{int(path.stem) + 1:06d}.jsonl").name
        assert faults[0].file in (path.name, following, "")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_removed_line_is_found(chain: tuple[Path, Kept], data: st.DataObject) -> None:
    """Entries and signatures, one or several in a row; the end needs the anchor."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path = data.draw(st.sampled_from(files_of(copy)))
        lines = path.read_bytes().splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 1))
        count = data.draw(st.integers(1, 3))
        rewrite(path, lines[:at] + lines[at + count :])
        assert verify(copy, KEY, anchor).faults


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_swap_is_found(chain: tuple[Path, Kept], data: st.DataObject) -> None:
    """Two lines that change places, within a file or between two."""
    folder, _ = chain
    with damaged(folder) as copy:
        lines = all_lines(copy)
        first, second = data.draw(
            st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True).map(sorted)
        )
        changed = [line for _, _, line in lines]
        changed[first], changed[second] = changed[second], changed[first]
        for path in files_of(copy):
            rewrite(path, [line for (owner, _, _), line in zip(lines, changed, strict=True) if owner == path])
        assert verify(copy, KEY, None).faults


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_truncation_is_found_with_the_anchor(chain: tuple[Path, Kept], data: st.DataObject) -> None:
    """At any byte of any file; cut in the middle of a group it is found without the anchor too."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path = data.draw(st.sampled_from(files_of(copy)))
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        if data.draw(st.booleans()):
            for later in files_of(copy):
                if later > path:
                    later.unlink()
        assert verify(copy, KEY, anchor).faults


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_inserted_or_repeated_line_is_found(chain: tuple[Path, Kept], data: st.DataObject) -> None:
    """A copy of a genuine line at another place, or a line of garbage."""
    folder, _ = chain
    with damaged(folder) as copy:
        lines = all_lines(copy)
        path, _, _ = data.draw(st.sampled_from(lines))
        extra = data.draw(
            st.sampled_from([line for _, _, line in lines]) | st.binary(max_size=9).map(lambda b: b + b"\n")
        )
        own = path.read_bytes().splitlines(keepends=True)
        at = data.draw(st.integers(0, len(own)))
        rewrite(path, [*own[:at], extra, *own[at:]])
        assert verify(copy, KEY, None).faults


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_missing_file_is_found(chain: tuple[Path, Kept], which: int) -> None:
    """The first, one between, the last (with the anchor): which entries are gone is told."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path = files_of(copy)[which]
        entry = parse_entry(path.read_bytes().split(b"\n", 1)[0])
        path.unlink()
        fault = verify(copy, KEY, anchor).faults[0]
        assert fault.kind == ("cut" if which == -1 else "missing-file")
        assert fault.entry == entry.seq


def test_files_renumbered_over_a_gap_are_found(chain: tuple[Path, Kept]) -> None:
    """Without the gap in the names there is the one in the entries."""
    folder, anchor = chain
    with damaged(folder) as copy:
        files = files_of(copy)
        files[1].unlink()
        for path in files[2:]:
            path.rename(path.with_name(f"{int(path.stem) - 1:06d}.jsonl"))
        assert [fault.kind for fault in verify(copy, KEY, anchor).faults] == ["removed"]


# ---- the place is named


def test_an_edit_is_named_with_line_and_entry(chain: tuple[Path, Kept]) -> None:
    """File, line and entry of the one that was edited, nothing else."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path, index, line = next(item for item in all_lines(copy) if b'"seq":12,' in item[2])
        lines = path.read_bytes().splitlines(keepends=True)
        lines[index] = line.replace(b"alice", b"mallo")
        rewrite(path, lines)
        (fault,) = verify(copy, KEY, anchor).faults
        assert (fault.kind, fault.file, fault.line, fault.entry) == ("edited", path.name, index + 1, 12)
        assert fault.place == f"{path.name}, line {index + 1}, entry 12"


def test_an_edit_with_its_hash_made_anew_is_found(chain: tuple[Path, Kept]) -> None:
    """The line is consistent in itself; what follows is not."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path, index, line = next(item for item in all_lines(copy) if b'"seq":3,' in item[2])
        lines = path.read_bytes().splitlines(keepends=True)
        lines[index] = rehashed(line[:-1].replace(b"alice", b"mallo")) + b"\n"
        rewrite(path, lines)
        faults = verify(copy, KEY, anchor).faults
        assert faults[0].kind == "replaced"
        assert faults[0].entry in (3, 4)


def rehashed(line: bytes) -> bytes:
    """A line with a hash that fits."""
    return line[:-HASH_TAIL] + b',"hash":"%b"}' % hash_of(line).encode()


def forge(folder: Path, signer: object, at: int) -> None:
    """All links from entry `at` on made anew; signed again where there is a signer, else old signatures are kept."""
    prev, head = GENESIS, GENESIS
    for path in files_of(folder):
        out = []
        for line in path.read_bytes().splitlines():
            if line.startswith(b'{"prev"'):
                entry = parse_entry(line)
                changed = line.replace(entry.prev.encode(), prev.encode())
                if entry.seq == at:
                    changed = changed.replace(b"alice", b"mallo")
                changed = rehashed(changed)
                prev = head = hash_of(changed)
            else:
                old = parse_signature(line)
                changed = line.replace(old.head.encode(), head.encode())
                if signer is not None:
                    changed = pack_signature(signer, head, old.first, old.last, list(old.open), old.time_ns)  # type: ignore[arg-type]
                prev = link_of(changed)
            out.append(changed + b"\n")
        rewrite(path, out)


def test_a_chain_forged_without_the_key_is_found_at_its_group(chain: tuple[Path, Kept]) -> None:
    """Every link made anew: the first signature that is not good is the one behind the edited entry."""
    folder, _ = chain
    with damaged(folder) as copy:
        forge(copy, None, 15)
        fault = verify(copy, KEY).faults[0]
        assert fault.kind == "signature"
        line = (copy / fault.file).read_bytes().splitlines()[fault.line - 1]
        signature = parse_signature(line)
        assert signature.first <= 15 <= signature.last


def test_a_chain_signed_anew_with_another_key_is_found(chain: tuple[Path, Kept]) -> None:
    """By the key the auditor holds, and by what the first entry names."""
    folder, _ = chain
    with damaged(folder) as copy:
        forge(copy, OTHER, 15)
        kinds = [fault.kind for fault in verify(copy, KEY).faults]
        assert "key" in kinds
        assert [fault.kind for fault in verify(copy, OTHER.public_key).faults] == ["key"]


def test_a_chain_signed_anew_with_the_stolen_key_is_found_by_a_noted_head(chain: tuple[Path, Kept]) -> None:
    """Who has the key can write any chain, but not one that has the same head."""
    folder, anchor = chain
    assert anchor.head is not None
    noted = parse_code(code(Head(*anchor.head)))
    with damaged(folder) as copy:
        forge(copy, SIGNER, 15)
        assert verify(copy, KEY).good
        assert [fault.kind for fault in verify(copy, KEY, anchor).faults] == ["head"]
        assert [fault.kind for fault in verify(copy, KEY, heads=[noted]).faults] == ["head"]
    assert verify(folder, KEY, heads=[noted]).good


def test_a_cut_at_a_group_is_told_with_both_ends(tmp_path: Path) -> None:
    """Only the anchor shows it; the sentence says from where to where."""
    anchor = Kept()
    folder = write_chain(tmp_path, [2, 3], file_bytes=1 << 20, anchor=anchor)
    (path,) = files_of(folder)
    rewrite(path, path.read_bytes().splitlines(keepends=True)[:-4])
    assert verify(folder, KEY).good
    verdict = verify(folder, KEY, anchor)
    assert [(fault.kind, fault.entry) for fault in verdict.faults] == [("cut", 4)]
    assert "Entries 4 to 6 removed" in verdict.faults[0].what
    with pytest.raises(IntegrityError, match="removed from the end"):
        verdict.check()


def test_an_earlier_signature_that_is_not_good_is_found_thoroughly(tmp_path: Path) -> None:
    """Quick verification trusts the last signature for all; `thorough` checks each. Here the key's holder lied."""
    folder = write_chain(tmp_path, [1, 1])
    path = files_of(folder)[0]
    first, second, *rest = path.read_bytes().splitlines()
    assert rest
    forged = second[:-104] + b',"signature":"%b"}' % (b"A" * 86 + b"==")
    path.write_bytes(b"\n".join((first, forged, *rest, b"")))
    forge_links(folder)
    assert verify(folder, KEY).good
    assert [fault.kind for fault in verify(folder, KEY, thorough=True).faults] == ["signature"]


def forge_links(folder: Path) -> None:
    """As `forge` with the key, but the first signature stays as it is."""
    (path,) = files_of(folder)
    prev, head, out = GENESIS, GENESIS, []
    for index, line in enumerate(path.read_bytes().splitlines()):
        changed = line
        if line.startswith(b'{"prev"'):
            changed = rehashed(line.replace(parse_entry(line).prev.encode(), prev.encode(), 1))
            prev = head = hash_of(changed)
        else:
            if index > 1:
                old = parse_signature(line)
                changed = pack_signature(SIGNER, head, old.first, old.last, list(old.open), old.time_ns)
            prev = link_of(changed)
        out.append(changed + b"\n")
    rewrite(path, out)


def test_verification_beside_a_writer_is_not_confused(tmp_path: Path) -> None:
    """A daemon appends while an auditor verifies: never a false alarm."""
    anchor = Kept()
    site = home(tmp_path)
    stop = threading.Event()
    with Chain.open(site, SIGNER, anchor, file_bytes=20_000) as open_chain:

        def write() -> None:
            while not stop.is_set():
                open_chain.append("read.x", actor=ALICE, after={"text": "x" * 100})

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        try:
            for _ in range(20):
                assert verify(open_chain.folder, KEY, anchor).faults == []
        finally:
            stop.set()
            bounded.join(thread)
