# SPDX-License-Identifier: Apache-2.0
"""The agency's check of files: whatever was changed, taken away or put in their place, it says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "delivery"))

from delivery_kit import append, mark, open_spool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outbox_kit import KEYS, Delivery
from typer.testing import CliRunner

from lictl.cli.app import app
from lictl.collection.manifests import verify_folder
from lictl.delivery.blocks import BlockKind
from lictl.errors import UnavailableError, UsageError
from lictl.keys.agency import AgencyKeys

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of one stream."""
    folder = tmp_path_factory.mktemp("sent")
    with open_spool(folder / "W-1") as spool:
        for _ in range(4):
            mark(spool, BlockKind.OPEN, b"OPENING\n")
            append(spool, 5, lost=2)
        mark(spool, BlockKind.END)
        with Delivery(folder, folder / "out") as delivery:
            delivery.run()
    (files,) = (folder / "out" / "files").iterdir()
    return files


@pytest.fixture
def copy(sent: Path, tmp_path: Path) -> Path:
    """The same as an agency fetched it."""
    return Path(shutil.copytree(sent, tmp_path / "fetched"))


def the(folder: Path, number: int, end: str) -> Path:
    (path,) = folder.glob(f"*-{number:06d}-*{end}")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swap(one: Path, other: Path) -> None:
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)


def test_what_was_sent_verifies(copy: Path) -> None:
    """Files as they were made are complete; a file that is no part of them does not matter."""
    (copy / "notes.txt").write_text("mine")
    (verdict,) = verify_folder(copy.parent, KEYS.eddsa_pem)
    assert (verdict.complete, verdict.files, verdict.records, verdict.lost) == (True, 4, 20, 8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: flip(the(f, 2, ".txt")), "is not what was signed"),
        (lambda f: flip(the(f, 2, ".events.jsonl")), "is not what was signed"),
        (lambda f: the(f, 2, ".txt").write_bytes(the(f, 2, ".txt").read_bytes()[:-1]), "bytes in place of"),
        (lambda f: the(f, 2, ".txt").unlink(), "is not here"),
        (lambda f: flip(the(f, 3, ".manifest.json")), "signature does not hold"),
        (lambda f: flip(the(f, 3, ".sig")), "signature does not hold"),
        (lambda f: the(f, 3, ".sig").unlink(), "cannot be read"),
        (lambda f: the(f, 2, ".manifest.json").unlink(), "1 files before it are not here"),
        (lambda f: swap(the(f, 2, ".txt"), the(f, 3, ".txt")), "is not what was signed"),
        (lambda f: shutil.copy(the(f, 2, ".json"), f / "x.manifest.json"), "cannot be read"),
    ],
)  # fmt: skip
def test_every_change_is_told(copy: Path, change: Callable[[Path], object], told: str) -> None:
    """A byte, a file or a signature that is not as it was made fails the verdict, and the problem names it."""
    change(copy)
    verdicts = verify_folder(copy, KEYS.eddsa_pem)
    assert not all(verdict.ok for verdict in verdicts)
    assert told in " ".join(problem for verdict in verdicts for problem in verdict.problems)


def test_another_key_proves_nothing(copy: Path) -> None:
    """With the key of another agency no manifest is believed; what is no key is refused."""
    assert not any(verdict.ok for verdict in verify_folder(copy, AgencyKeys(bytes(32)).eddsa_pem))
    with pytest.raises(UsageError):
        verify_folder(copy, KEYS.ecdsa_pem)
    with pytest.raises(UnavailableError):
        verify_folder(copy / "nothing", KEYS.eddsa_pem)


def test_fetched_so_far(copy: Path) -> None:
    """Before the stream is over, or where earlier files were put away, all is well but not complete."""
    for path in copy.glob("*-000004-*"):
        path.unlink()
    (verdict,) = verify_folder(copy, KEYS.eddsa_pem)
    assert (verdict.ok, verdict.complete) == (True, False)


def test_the_command(copy: Path, tmp_path: Path) -> None:
    """`lictl verify` says so in its exit status."""
    key = tmp_path / "agency.pem"
    key.write_bytes(KEYS.eddsa_pem)
    run = CliRunner()
    assert run.invoke(app, ["verify", str(copy), "--key", str(key)]).exit_code == 0
    flip(the(copy, 1, ".txt"))
    found = run.invoke(app, ["verify", str(copy), "--key", str(key), "--json"])
    assert found.exception is not None
    assert '"ok": false' in found.stdout


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    name=st.sampled_from(["number", "previous", "liid", "content", "events", "ended", "lost", "manifest"]), value=JSON
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_manifest_is_judged(copy: Path, name: str, value: object) -> None:
    """Whatever stands in a manifest that is signed, a verdict comes, and reads no file outside the folder."""
    manifest = the(copy, 2, ".manifest.json")
    whole = manifest.read_bytes()
    changed = json.dumps({**json.loads(whole), name: value}).encode()
    manifest.write_bytes(changed)
    manifest.with_name(manifest.name + ".sig").write_bytes(KEYS.sign_eddsa(changed))
    assert verify_folder(copy, KEYS.eddsa_pem)
    manifest.write_bytes(whole)


@given(st.binary(max_size=300))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_judged(copy: Path, data: bytes) -> None:
    """Bytes that are no manifest, signed or not, are a problem and nothing worse."""
    manifest = the(copy, 2, ".manifest.json")
    manifest.write_bytes(data)
    manifest.with_name(manifest.name + ".sig").write_bytes(KEYS.sign_eddsa(data))
    assert not all(verdict.ok for verdict in verify_folder(copy, KEYS.eddsa_pem))


def test_openssl_and_sha256sum_do(copy: Path, tmp_path: Path) -> None:
    """Without lictl: openssl verifies the signature, sha256sum gives the digests that stand in the manifests."""
    key = tmp_path / "agency.pem"
    key.write_bytes(KEYS.eddsa_pem)
    manifest = the(copy, 2, ".manifest.json")
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin", "-in", str(manifest)]
    subprocess.run([*command, "-sigfile", f"{manifest}.sig"], check=True, capture_output=True, timeout=120)
    for path in (the(copy, 2, ".txt"), the(copy, 1, ".manifest.json")):
        digest = subprocess.run(
            ["sha256sum", str(path)], check=True, capture_output=True, text=True, timeout=60
        ).stdout.split()[0]
        assert digest in manifest.read_text()
