# SPDX-License-Identifier: Apache-2.0
"""Files that commands are given: the same mistake has the same exit code, whichever command is told of the file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_cli_agencies import home
from test_cli_commands import failure, lictl, warrant_file

sys.path.append(str(Path(__file__).parent.parent / "delivery"))
from authority_kit import Authority

__all__ = ["home"]

ADD = ("agency", "add", "b", "--host", "h", "--port", "9", "--tls")
TLS = ("--tls-certificate", "{certificate}", "--tls-key", "{key}")
RECEIVE = ("receive", "--listen", "127.0.0.1:0", "--into", "{folder}/received", "--for", "0.1")
NAMED = [
    ("warrant", "add", "{file}"),
    ("warrant", "add", "{file}", "--emergency"),
    ("warrant", "check", "{file}"),
    ("warrant", "extend", "L1", "{file}"),
    ("warrant", "amend", "L1", "{file}"),
    ("warrant", "certificate", "--incident", "{file}"),
    (*ADD, "--tls-ca", "{file}"),
    (*ADD, "--tls-ca", "{ca}", "--tls-certificate", "{file}", "--tls-key", "{key}"),
    (*ADD, "--tls-ca", "{ca}", "--tls-certificate", "{certificate}", "--tls-key", "{file}"),
    ("agency", "renew", "a", "--tls-ca", "{file}"),
    ("agency", "setup-sftp", "a", "--print", "--key", "{file}"),
    ("audit", "verify", "--bundle", "{file}", "--key", "{public}"),
    ("audit", "verify", "--key", "{file}"),
    ("replay", "{file}", "--warrant", "{order}", "--into", "{folder}/replayed"),
    ("replay", "{capture}", "--warrant", "{file}", "--into", "{folder}/replayed"),
    ("decode", "{file}"),
    ("decode", "{capture}", "--payload-key", "{file}"),
    ("verify", "{folder}", "--key", "{file}"),
    (*RECEIVE, "--key", "{file}"),
    (*RECEIVE, "--payload-key", "{file}"),
    (*RECEIVE, "--tls-certificate", "{file}", "--tls-key", "{key}"),
    (*RECEIVE, "--tls-certificate", "{certificate}", "--tls-key", "{file}"),
    (*RECEIVE, *TLS, "--tls-ca", "{file}"),
]
ids = [" ".join(line).replace("{file}", "FILE") for line in NAMED]


@pytest.fixture
def told(home: Path, tmp_path: Path) -> dict[str, str]:
    """What the lines name beside the file that is wrong: all of it is right."""
    ours = Authority(tmp_path, "ca")
    certificate, key = ours.issue("operator")
    (tmp_path / "folder").mkdir()
    (tmp_path / "capture.pcap").write_bytes(bytes.fromhex("4d3cb2a1020004000000000000000000ffff000001000000"))
    lictl("agency", "add", "a", "--format", "text", "--transport", "files")
    return {
        "public": str(home / "keys" / "audit.pub"), "folder": str(tmp_path / "folder"), "ca": str(ours.file),
        "certificate": str(certificate), "key": str(key), "order": str(warrant_file(tmp_path)),
        "capture": str(tmp_path / "capture.pcap"),
    }  # fmt: skip


def written(line: tuple[str, ...], told: dict[str, str], file: Path) -> list[str]:
    """The command line."""
    return [word.format(**told, file=file) for word in line]


@pytest.mark.parametrize("line", NAMED, ids=ids)
def test_a_file_that_cannot_be_read(line: tuple[str, ...], told: dict[str, str], tmp_path: Path) -> None:
    """Not there, a folder, or below a file: exit code 4, with its name and what should be named."""
    for file in (tmp_path / "none.toml", tmp_path, Path(told["order"]) / "below.toml"):
        error = failure(*written(line, told, file), code=4)
        assert error["what"].startswith(f"{file} "), error
        assert error["fix"].startswith("Name "), error


@pytest.mark.parametrize("line", NAMED, ids=ids)
def test_a_file_that_holds_something_else(line: tuple[str, ...], told: dict[str, str], tmp_path: Path) -> None:
    """Garbage, and garbage without end: exit code 2 and a way out."""
    garbage, endless = tmp_path / "garbage.toml", Path("/dev/zero")
    garbage.write_bytes(bytes(range(256)) * 64)
    for file in (garbage, endless):
        if file == endless and line[:2] in (("replay", "{file}"), ("decode", "{file}")):
            continue  # read to their end, whatever it takes
        error = failure(*written(line, told, file), code=2)
        assert error["fix"], error
