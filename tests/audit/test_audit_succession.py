# SPDX-License-Identifier: Apache-2.0
"""A chain whose key was changed: each of its keys shows all of it, and nobody else's does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from chains import ALICE, OTHER, SIGNER, Kept, damaged, files_of, home
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.audit.chain import Chain
from lictl.audit.export import bundle_parts, verify_bundle, write_bundle
from lictl.audit.read import Query, entries
from lictl.audit.verify import verify
from lictl.errors import IntegrityError, MachineError
from lictl.keys.signer import KeySigner
from lictl.keys.site import SiteKey
from lictl.people.actor import Actor
from lictl.service.key_desk import KeyDesk
from lictl.service.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.home import Home

THIRD = KeySigner(bytes(range(2, 34)))
KEYS = (SIGNER, OTHER, THIRD)
ROOT = Actor(0, "root", frozenset(), None, 1, owner=True)


def grown(site: Home, anchor: Kept | None = None, file_bytes: int = 900) -> Path:
    """A chain that three keys signed one after the other, each several groups; the folder of its files."""
    with Chain.open(site, SIGNER, anchor, file_bytes=file_bytes) as chain:
        for signer in (OTHER, THIRD, None):
            for step in range(4):
                chain.append("read.warrant", actor=ALICE, subject=f"w{step}", sync=step % 2 == 1)
            if signer is not None:
                chain.append("warrant.add", actor=ALICE, sync=False)
                chain.hand_over(signer, ALICE)
    return chain.folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kept]:
    """Never changed."""
    anchor = Kept()
    folder = grown(home(tmp_path_factory.mktemp("keys")), anchor)
    assert len(files_of(folder)) >= 5
    return folder, anchor


@pytest.mark.parametrize("signer", KEYS)
@pytest.mark.parametrize("thorough", [False, True])
def test_each_of_its_keys_shows_all_of_it(chain: tuple[Path, Kept], signer: KeySigner, thorough: bool) -> None:
    """Whoever holds one of them verifies every entry, and is told of the others."""
    folder, anchor = chain
    verdict = verify(folder, signer.public_key, anchor, thorough=thorough)
    assert verdict.faults == []
    assert verdict.head == anchor.read()
    assert verdict.keys == tuple(each.public_key.hex() for each in KEYS)


def test_another_key_shows_nothing(chain: tuple[Path, Kept]) -> None:
    """A key that never signed is refused, however good the chain is in itself."""
    folder, anchor = chain
    verdict = verify(folder, KeySigner(bytes(32)).public_key, anchor)
    assert [fault.kind for fault in verdict.faults] == ["key"]


def test_several_processes_know_the_keys(chain: tuple[Path, Kept], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is looked at with its own."""
    monkeypatch.setattr("lictl.audit.verify.INLINE_BYTES", 0)
    assert verify(chain[0], THIRD.public_key, chain[1], processes=2).good


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_done_around_a_change_is_found(chain: tuple[Path, Kept], data: st.DataObject) -> None:
    """A byte edited, a line removed, repeated or moved anywhere, or a file gone: with any of its keys."""
    folder, anchor = chain
    with damaged(folder) as copy:
        path = data.draw(st.sampled_from(files_of(copy)))
        content = path.read_bytes()
        lines = content.splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["edit", "remove", "repeat", "swap", "unlink"]))
        if how == "edit":
            place = data.draw(st.integers(0, len(content) - 1))
            other = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
            path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
        elif how == "remove":
            path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
        elif how == "repeat":
            path.write_bytes(b"".join(lines[: at + 1] + lines[at:]))
        elif how == "swap":
            to = data.draw(st.integers(0, len(lines) - 1).filter(lambda other: other != at))
            lines[at], lines[to] = lines[to], lines[at]
            path.write_bytes(b"".join(lines))
        else:
            path.unlink()
        assert verify(copy, data.draw(st.sampled_from(KEYS)).public_key, anchor).faults


def test_a_history_that_another_made_and_hands_over_is_not_this_sites(tmp_path: Path) -> None:
    """A stranger's chain that ends by naming the site's key, also with an empty file behind: that key signed none."""
    site = home(tmp_path)
    with Chain.open(site, OTHER) as chain:
        chain.append("read.warrant", actor=ALICE)
        chain.hand_over(SIGNER, ALICE)
    for _ in range(2):
        assert [fault.kind for fault in verify(chain.folder, SIGNER.public_key).faults] == ["key"]
        (chain.folder / "000002.jsonl").touch(mode=0o600)
    with pytest.raises(IntegrityError, match="not of this site's key"):
        Chain.open(site, SIGNER)


def test_the_former_key_signs_nothing_more(chain: tuple[Path, Kept], tmp_path: Path) -> None:
    """Entries that a stolen former key signed behind the change are found, with whatever key of the chain."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER) as begun:
        begun.append("read.warrant", actor=ALICE)
        begun.hand_over(OTHER, ALICE)
        begun._signer = SIGNER
        begun.append("read.warrant", actor=ALICE)
    assert all(verify(begun.folder, signer.public_key).faults for signer in (SIGNER, OTHER))


def test_a_chain_is_taken_up_by_the_key_that_it_names(tmp_path: Path) -> None:
    """After a crash right behind the change; without that key it stands still."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER) as begun:
        begun.append("warrant.add", actor=ALICE)
        begun.hand_over(OTHER, ALICE)
    with pytest.raises(IntegrityError, match="handed over to a key that is not there"):
        Chain.open(site, SIGNER)
    for _ in range(2):
        with Chain.open(site, SIGNER, upcoming=OTHER) as taken:
            assert taken.signer is OTHER
            assert taken.open_intents() == [2]
            taken.append("read.warrant", actor=ALICE)
            assert taken.public_key == OTHER.public_key
    with Chain.open(site, OTHER) as after:
        after.append("read.warrant", actor=ALICE)
    for signer in (SIGNER, OTHER):
        assert verify(after.folder, signer.public_key).faults == []
    assert [path.name for path in files_of(after.folder)] == ["000001.jsonl", "000002.jsonl"]


def test_a_next_key_that_the_chain_does_not_name_signs_nothing(tmp_path: Path) -> None:
    """It was made, and the crash came before the chain was told."""
    site = home(tmp_path)
    Chain.open(site, SIGNER).close()
    with Chain.open(site, SIGNER, upcoming=OTHER) as chain:
        assert chain.signer is SIGNER


@pytest.mark.parametrize("signer", KEYS)
def test_a_bundle_verifies_with_each_key(chain: tuple[Path, Kept], tmp_path: Path, signer: KeySigner) -> None:
    """Its manifest is of the newest one; of a former one it is none, whoever verifies."""
    folder, _ = chain
    for number, by in enumerate((THIRD, OTHER)):
        bundle = tmp_path / f"{number}.tar.gz"
        write_bundle(bundle, bundle_parts(folder, by))
        faults = verify_bundle(bundle, signer.public_key).faults
        assert [fault.file for fault in faults] == ([] if by is THIRD else ["manifest.json"])


def test_a_change_that_the_disk_cuts_off_is_done_when_it_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same daemon: no third key is made for it."""

    def full(*_: object) -> None:
        raise MachineError("The disk is full.", "Free space.")

    site = home(tmp_path)
    first = SiteKey.make(site).signer.public_key.hex()
    with Chain.open(site, SiteKey.open(site).signer) as chain:
        desk = KeyDesk(site, Record(chain))
        with monkeypatch.context() as patch:
            patch.setattr("lictl.keys.succession.publish", full)
            with pytest.raises(MachineError):
                desk.rotate(ROOT)
        assert SiteKey.open(site).signer.public_key.hex() == first
        done = desk.rotate(ROOT)
        assert (done["before"], done["key"]) == (first, SiteKey.open(site).signer.public_key.hex())
        assert desk.rotate(ROOT)["before"] == done["key"]
    verdict = verify(chain.folder, SiteKey.open(site).signer.public_key)
    assert verdict.faults == []
    assert verdict.keys[:2] == (first, done["key"])
    assert len(verdict.keys) == 3


def test_what_waits_in_memory_goes_with_the_change(tmp_path: Path) -> None:
    """Entries that were not flushed are in the group in front of it, in their order, and the change is its last."""
    site = home(tmp_path)
    with Chain.open(site, SIGNER) as chain:
        for step in range(3):
            chain.append("read.warrant", actor=ALICE, subject=str(step), sync=False)
        chain.hand_over(OTHER, ALICE)
    actions = [entry.action for entry in entries(chain.folder, Query(first=2))]
    assert actions == ["read.warrant"] * 3 + ["chain.rotated"]
    assert len(files_of(chain.folder)) == 1
