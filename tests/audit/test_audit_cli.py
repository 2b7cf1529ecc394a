# SPDX-License-Identifier: Apache-2.0
"""`lictl audit` on a home without a daemon, bundles elsewhere, and the desk that the control socket asks."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest
from chains import ALICE, OTHER, PEM, SIGNER, Kept, files_of, home, write_chain
from typer.testing import CliRunner

from lictl.audit.chain import Chain
from lictl.audit.desk import AuditDesk
from lictl.audit.export import bundle_parts, verify_bundle, write_bundle
from lictl.audit.read import entries
from lictl.cli.app import app
from lictl.cli.audit_source import fetch_bundle, pages
from lictl.errors import IntegrityError, MachineError, UnavailableError, UsageError
from lictl.keys.signer import public_pem
from lictl.people.actor import Actor
from lictl.people.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNNER = CliRunner()
AUDITOR = Actor(64103, "carol", frozenset({Role.AUDITOR}), None, 1)
root = pytest.mark.skipif(os.geteuid() != 0, reason="the role table names root")


def lictl(*arguments: object, code: int = 0) -> Any:
    """Runs a command line and checks its exit code."""
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, f"{result.exit_code}: {result.stdout} {result.stderr}"
    assert "Traceback" not in result.stdout + result.stderr
    return result


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A home that `init` made, whose auditor is root."""
    folder = tmp_path / "site"
    lictl("--home", folder, "init", "--operator", "ISP-7", "--country", "US", "--role", "auditor=root")
    return folder


@root
def test_a_new_home_has_a_record_that_verifies(place: Path) -> None:
    """In words and in JSON; the head stands in both."""
    text = lictl("--home", place, "audit", "verify").stdout
    assert "The record is whole" in text
    verdict = json.loads(lictl("--home", place, "--json", "audit", "verify", "--thorough").stdout)
    assert verdict["good"]
    assert verdict["head"] in text
    assert verdict["anchored"] == verdict["head"]


@root
def test_a_changed_record_is_told_with_exit_code_5(place: Path) -> None:
    """The table names file, line and entry; JSON too."""
    path = place / "audit" / "000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":7,', 1))
    text = lictl("--home", place, "audit", "verify", code=5).stdout
    assert "000001.jsonl" in text
    verdict = json.loads(lictl("--home", place, "--json", "audit", "verify", code=5).stdout)
    assert not verdict["good"]
    assert verdict["faults"][0]["line"] == 1


@root
def test_a_cut_record_is_told_by_the_store(place: Path) -> None:
    """The database kept the head."""
    path = place / "audit" / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) >= 4
    path.write_bytes(b"".join(lines[:2]))
    verdict = json.loads(lictl("--home", place, "--json", "audit", "verify", code=5).stdout)
    assert [fault["kind"] for fault in verdict["faults"]] == ["cut"]


@root
def test_a_noted_head_is_held_against_the_record(place: Path) -> None:
    """The printed code verifies later; copied wrongly it is refused; one of another record is a fault."""
    head = json.loads(lictl("--home", place, "--json", "audit", "head").stdout)
    assert head["code"] in lictl("--home", place, "audit", "head").stdout
    lictl("--home", place, "audit", "verify", "--head", head["code"])
    lictl("--home", place, "audit", "verify", "--head", head["code"][:-1] + "?", code=2)
    from lictl.audit.anchor import Head, code

    other = code(Head(head["seq"], "ab" * 32))
    verdict = json.loads(lictl("--home", place, "--json", "audit", "verify", "--head", other, code=5).stdout)
    assert [fault["kind"] for fault in verdict["faults"]] == ["head"]


@root
def test_looking_is_recorded(place: Path) -> None:
    """Who shows the record stands in it, with what was asked."""
    lictl("--home", place, "audit", "show", "--action", "chain.")
    shown = json.loads(lictl("--home", place, "--json", "audit", "show", "--action", "read.").stdout)
    assert shown[0]["after"]["asked"] == {"action": "chain."}
    assert shown[0]["actor"]["name"] == "root"


@root
def test_another_key_signs(place: Path, tmp_path: Path) -> None:
    """Twice: the record verifies with each key, in the home and as a bundle; private keys of before are nowhere."""
    public, private = place / "keys" / "audit.pub", place / "keys" / "audit.key"
    kept, secrets = [tmp_path / f"{number}.pub" for number in range(3)], []
    for file in kept[:2]:
        file.write_bytes(public.read_bytes())
        secrets.append(private.read_bytes())
        assert "is destroyed; that is recorded" in lictl("--home", place, "audit", "rotate-key").stdout
    kept[2].write_bytes(public.read_bytes())
    lictl("--home", place, "audit", "export", "--bundle", tmp_path / "b.tar.gz")
    for file in kept:
        verdict = json.loads(lictl("--home", place, "--json", "audit", "verify", "--key", file).stdout)
        assert len(verdict["keys"]) == 3
        lictl("audit", "verify", "--bundle", tmp_path / "b.tar.gz", "--key", file)
    assert sorted(path.name for path in public.parent.iterdir()) == ["audit.key", "audit.pub", "site.key"]
    assert not {private.read_bytes()} & set(secrets)
    assert json.loads(lictl("--home", place, "--json", "profile", "status").stdout)["arms"]
    shown = json.loads(lictl("--home", place, "--json", "audit", "show", "--action", "audit.rotate-key").stdout)
    assert [(entry["actor"]["name"], entry["before"]["key"], entry["after"]["key"]) for entry in shown] == [
        ("root", verdict["keys"][0], verdict["keys"][1]), ("root", verdict["keys"][1], verdict["keys"][2])
    ]  # fmt: skip


@root
def test_a_change_of_keys_that_the_disk_cuts_off_is_done_by_the_next_command(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain is the new key's already, and verifies with the old one that `audit.pub` still names."""

    def full(*_: object) -> None:
        raise MachineError("The disk is full.", "Free space.")

    with monkeypatch.context() as patch:
        patch.setattr("lictl.keys.succession.publish", full)
        lictl("--home", place, "audit", "rotate-key", code=6)
    assert json.loads(lictl("--home", place, "--json", "audit", "verify").stdout)["good"]
    lictl("--home", place, "audit", "head")
    verdict = json.loads(lictl("--home", place, "--json", "audit", "verify").stdout)
    assert (verdict["good"], len(verdict["keys"]), verdict["key"]) == (True, 2, verdict["keys"][1])


@root
def test_export_as_json_and_csv(place: Path) -> None:
    """Both have every entry that was asked for."""
    exported = json.loads(lictl("--home", place, "audit", "export").stdout)
    assert [entry["seq"] for entry in exported] == list(range(1, len(exported) + 1))
    text = lictl("--home", place, "audit", "export", "--format", "csv", "--action", "chain.").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["action"] for row in rows] == ["chain.begin"]
    lictl("--home", place, "audit", "export", "--format", "xml", code=2)


@root
def test_a_bundle_verifies_elsewhere_with_the_key_alone(place: Path, tmp_path: Path) -> None:
    """Another machine has the file and the key, no home."""
    bundle, key = tmp_path / "bundle.tar.gz", place / "keys" / "audit.pub"
    lictl("--home", place, "audit", "export", "--bundle", bundle)
    assert bundle.stat().st_mode & 0o777 == 0o600
    nowhere = ("--home", tmp_path / "nowhere", "audit", "verify", "--bundle", bundle)
    assert "The record is whole" in lictl(*nowhere, "--key", key).stdout
    lictl(*nowhere, code=2)
    lictl("--home", place, "audit", "export", "--bundle", bundle, code=3)  # never overwritten
    wrong = tmp_path / "wrong.pub"
    wrong.write_bytes(public_pem(OTHER.public_key))
    lictl(*nowhere, "--key", wrong, code=5)


@root
def test_who_has_no_role_does_not_read(tmp_path: Path) -> None:
    """Also root; but whether the record is whole, the owner of the home can always tell."""
    folder = tmp_path / "site"
    lictl("--home", folder, "init", "--operator", "ISP-7", "--country", "US")
    lictl("--home", folder, "audit", "show", code=3)
    lictl("--home", folder, "audit", "verify")


@root
def test_without_a_daemon_there_is_nothing_to_reconcile(place: Path) -> None:
    """Told as such."""
    lictl("--home", place, "audit", "reconcile", code=4)


# ---- bundles


def bundle_of(folder: Path, target: Path) -> Path:
    """A bundle of a chain."""
    write_bundle(target, bundle_parts(folder, SIGNER))
    return target


def rebuilt(bundle: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A bundle with members changed, or left out (None)."""
    out = bundle.with_name("rebuilt.tar.gz")
    with tarfile.open(bundle) as old, tarfile.open(out, "w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = change(member.name, content.read())
            if data is not None:
                info = tarfile.TarInfo(member.name)
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))
    return out


def test_a_bundle_is_the_chain(tmp_path: Path) -> None:
    """Several files; every entry; the key beside them is the site's."""
    folder = write_chain(tmp_path, [3] * 12)
    bundle = bundle_of(folder, tmp_path / "b.tar.gz")
    verdict = verify_bundle(bundle, SIGNER.public_key)
    assert (verdict.faults, verdict.entries, verdict.files) == ([], 37, len(files_of(folder)))
    with tarfile.open(bundle) as archive:
        member = archive.extractfile("audit.pub")
        assert member is not None
        assert member.read() == PEM


@pytest.mark.parametrize("name", ["000001.jsonl", "000002.jsonl", "manifest.json", "manifest.sig"])
@pytest.mark.parametrize("way", ["gone", "edited", "cut"])
def test_a_damaged_bundle_does_not_verify(tmp_path: Path, name: str, way: str) -> None:
    """Whatever member it is, and also its last file cut at a group: the manifest is signed."""
    folder = write_chain(tmp_path, [3] * 12)

    def change(member: str, data: bytes) -> bytes | None:
        if member != name:
            return data
        return {"gone": None, "edited": data.replace(data[9:10], b"?", 1), "cut": data[: len(data) // 2]}[way]

    damaged = rebuilt(bundle_of(folder, tmp_path / "b.tar.gz"), change)
    assert verify_bundle(damaged, SIGNER.public_key).faults


def test_a_bundle_whose_end_was_cut_cleanly_does_not_verify(tmp_path: Path) -> None:
    """The last file left out as a whole: the chain in it is good, but not all that was exported."""
    folder = write_chain(tmp_path, [3] * 12)
    last = files_of(folder)[-1].name
    cut = rebuilt(bundle_of(folder, tmp_path / "b.tar.gz"), lambda name, data: None if name == last else data)
    kinds = {fault.kind for fault in verify_bundle(cut, SIGNER.public_key).faults}
    assert {"cut", "edited"} <= kinds


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "000001.jsonl/../../evil", "link"])
def test_a_bundle_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    """A member with another name, or that is a link, is no part of a bundle."""
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as out:
        info = tarfile.TarInfo("000001.jsonl" if name == "link" else name)
        if name == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(info)
    with pytest.raises(UsageError, match="no bundle"):
        verify_bundle(evil, SIGNER.public_key)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x1f\x8b\x08\x00garbage"])
def test_garbage_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    """Told, not traced."""
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(UsageError):
        verify_bundle(tmp_path / "b", SIGNER.public_key)
    with pytest.raises(UnavailableError):
        verify_bundle(tmp_path / "none", SIGNER.public_key)


# ---- the desk


def asked(desk: AuditDesk) -> Callable[..., Any]:
    """As through the control socket."""
    return lambda op, **args: desk.table()[op](AUDITOR, **args)


def test_an_auditor_fetches_a_bundle_through_the_desk(tmp_path: Path) -> None:
    """In chunks, while the chain goes on growing; it verifies."""
    write_chain(tmp_path, [3] * 12)
    from lictl.home import Home

    with Chain.open(Home(tmp_path / "home"), SIGNER) as chain:
        manifest = fetch_bundle(asked(AuditDesk(chain, None)), tmp_path / "b.tar.gz")
        chain.append("read.x", actor=ALICE)
    verdict = verify_bundle(tmp_path / "b.tar.gz", SIGNER.public_key)
    assert verdict.faults == []
    assert verdict.head is not None
    assert verdict.head.seq == manifest["head"]["seq"] == 38  # with who exported it


def test_the_desk_gives_files_of_the_chain_only(tmp_path: Path) -> None:
    """No path leads out of the folder."""
    with Chain.open(home(tmp_path), SIGNER) as chain:
        ask = asked(AuditDesk(chain, None))
        for name in ("../keys/site.key", "lock", "/etc/passwd", "000009.jsonl"):
            with pytest.raises(UsageError):
                ask("audit.export", file=name)


def test_pages_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, each entry once, those that were written when it began."""
    write_chain(tmp_path, [3] * 12)
    from lictl.home import Home

    monkeypatch.setattr("lictl.cli.audit_source.PAGE", 7)
    with Chain.open(Home(tmp_path / "home"), SIGNER) as chain:
        found = list(pages(asked(AuditDesk(chain, None)), 1, {"action": "warrant.add"}))
        wanted = [entry.seq for entry in entries(chain.folder) if entry.action == "warrant.add"]
    assert [entry["seq"] for entry in found] == wanted


def test_the_desk_verifies_in_the_background(tmp_path: Path) -> None:
    """Begun once, asked until it is done; the auditor stands in the chain."""
    anchor = Kept()
    folder = write_chain(tmp_path, [3] * 12, anchor=anchor)
    from lictl.home import Home

    with Chain.open(Home(tmp_path / "home"), SIGNER, anchor) as chain:
        ask = asked(AuditDesk(chain, anchor))
        with pytest.raises(UsageError):
            ask("audit.verify", start=False)
        state, limit = ask("audit.verify"), time.monotonic() + 60
        while state["verdict"] is None and time.monotonic() < limit:
            time.sleep(0.02)
            state = ask("audit.verify", start=False)
        assert state["verdict"]["good"]
    assert [entry.actor["name"] for entry in entries(folder) if entry.action == "read.audit"] == ["carol"]


def test_a_verdict_with_faults_raises_the_first(tmp_path: Path) -> None:
    """For those who cannot go on then."""
    from lictl.audit.verify import verify

    folder = write_chain(tmp_path, [3])
    (path,) = files_of(folder)
    path.write_bytes(path.read_bytes().replace(b"alice", b"mallo", 1))
    with pytest.raises(IntegrityError, match=r"000001\.jsonl, line 3, entry 2"):
        verify(folder, SIGNER.public_key).check()


def test_spreadsheets_get_no_formulas() -> None:
    """A text that begins like one is kept as text."""
    from lictl.audit.export import COLUMNS, write_csv

    out = io.StringIO()
    write_csv(out, [{**dict.fromkeys(COLUMNS), "seq": 1, "actor": {}, "subject": "=1+1"}])
    assert "'=1+1" in out.getvalue()
