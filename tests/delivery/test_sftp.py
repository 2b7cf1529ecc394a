# SPDX-License-Identifier: Apache-2.0
"""An agency at the door: OpenSSH's own server and client on what `lictl agency setup-sftp` made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from outbox_kit import KEYS

from lictl.collection.manifests import verify_folder
from lictl.errors import UsageError
from lictl.service.sftp import SftpAccess

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA them"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with what was fetched, and what the client said."""
    work = tmp_path_factory.mktemp("sftp")
    inside = Path(__file__).with_name("sftp_inside.py")
    command = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, str(inside), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    log = work / "sshd.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    return work, json.loads((work / "found.json").read_text())


@pytest.mark.net
def test_an_agency_fetches_and_verifies(door: tuple[Path, dict[str, str]]) -> None:
    """The sftp client finds finished files alone, none in work, and what it fetched verifies."""
    work, found = door
    names = sorted(path.name for path in (work / "county.d").rglob("*") if path.is_file())
    assert len(names) == 8
    assert {re.sub(r"^LIID_1_x-(\d+)-\w+Z", r"\1", name) for name in names} == {
        f"00000{n}{end}" for n in (1, 2) for end in (".txt", ".events.jsonl", ".manifest.json", ".manifest.json.sig")
    }
    (verdict,) = verify_folder(work / "county.d", KEYS.eddsa_pem)
    assert (verdict.ok, verdict.records) == (True, 100)
    assert "000003" not in found["listed"]
    assert "ermission denied" in found["listed"]  # what is in work


@pytest.mark.net
def test_the_session_is_locked_in(door: tuple[Path, dict[str, str]]) -> None:
    """Nothing outside the agency's own folder is there; nothing can be written; there is no shell."""
    _, found = door
    assert "passwd" not in found["outside"].replace("/etc/passwd", "")
    assert found["outside"].count("not found") >= 3
    assert "state" not in found["listed"]
    assert found["written"].count("ermission denied") == 3
    assert "uid=" not in found["shell"]


@pytest.mark.net
def test_deleting_is_for_those_who_may(door: tuple[Path, dict[str, str]]) -> None:
    """With --delete an agency removes what it has; without it nothing goes; another agency's key opens nothing."""
    _, found = door
    assert "-000001-" not in found["left_county"]
    assert "-000002-" in found["left_county"]
    assert "-000001-" in found["left_state"]
    assert "Permission denied (publickey)" in found["as_other"]


@pytest.mark.parametrize("keys", ["", "# none\n", "ssh-ed25519 A", f"command=x {KEY}", f"{KEY}\nnonsense", "ssh-dss A"])
def test_what_is_no_key(keys: str) -> None:
    """A file that is no list of public keys is refused, whatever else it would have allowed."""
    with pytest.raises(UsageError):
        SftpAccess("county", Path("/srv/x/county"), keys).script()


def test_names_that_unix_cannot_have() -> None:
    """An agency with a long name needs a user that is named for it."""
    access = SftpAccess("a" * 40, Path("/srv/x/county"), KEY)
    with pytest.raises(UsageError):
        access.script()
    assert "useradd" in SftpAccess("a" * 40, Path("/srv/x/county"), KEY, user="county").script()
