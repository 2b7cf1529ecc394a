# SPDX-License-Identifier: Apache-2.0
"""Chains for tests: a home with keys, an anchor in memory, and an independent look at what a chain must be."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lictl.audit.chain import Chain
from lictl.home import Home
from lictl.keys.signer import KeySigner, public_pem

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNER = KeySigner(bytes(range(32)))
OTHER = KeySigner(bytes(range(1, 33)))
ALICE = {"uid": 64101, "name": "alice"}


class Kept:
    """An anchor in memory."""

    def __init__(self) -> None:
        self.head: tuple[int, str] | None = None

    def write(self, seq: int, hash: str) -> None:
        self.head = (seq, hash)

    def read(self) -> tuple[int, str] | None:
        return self.head


def home(folder: Path) -> Home:
    """A private home without keys."""
    root = folder / "home"
    root.mkdir(mode=0o700)
    return Home(root)


def write_chain(folder: Path, groups: list[int], *, file_bytes: int = 4096, anchor: Kept | None = None) -> Path:
    """A chain of groups with so many entries each; returns the folder of its files."""
    site = home(folder)
    with Chain.open(site, SIGNER, anchor, file_bytes=file_bytes) as chain:
        for index, count in enumerate(groups):
            for step in range(count):
                chain.append(
                    "warrant.add" if step % 2 else "read.warrant",
                    actor=ALICE,
                    subject=f"w{index}",
                    after={"step": step},
                    sealed=b"\x00\xff" * step,
                    sync=False,
                )
            chain.flush()
    return site.root / "audit"


@contextlib.contextmanager
def damaged(folder: Path) -> Iterator[Path]:
    """A copy that may be changed."""
    with tempfile.TemporaryDirectory(prefix="lictl-chain-") as name:
        yield shutil.copytree(folder, Path(name) / "audit")


def files_of(folder: Path) -> list[Path]:
    """The files of a chain."""
    return sorted(folder.glob("*.jsonl"))


def verify_elsewhere(folder: Path, pem: bytes, work: Path) -> int:
    """What the format's description says, written a second time, with openssl for the last signature.

    Returns the number of entries; AssertionError where something does not hold.
    """
    prev, seq, signed, line = "0" * 64, 0, 0, b""
    for path in files_of(folder):
        for line in path.read_bytes().splitlines():
            value = json.loads(line)
            if "prev" in value:
                body = line[: line.rindex(b',"hash"')]
                assert (value["prev"], value["seq"]) == (prev, seq + 1)
                assert value["hash"] == hashlib.sha256(body).hexdigest()
                prev, seq = value["hash"], seq + 1
            else:
                assert (value["head"], value["first"], value["last"]) == (prev, signed + 1, seq)
                prev, signed = hashlib.sha256(line).hexdigest(), seq
    assert signed == seq
    value = json.loads(line)
    (work / "message").write_bytes(b"lictl audit v1\n" + line[: line.rindex(b',"signature"')])
    (work / "signature").write_bytes(base64.b64decode(value["signature"]))
    (work / "key.pem").write_bytes(pem)
    argv = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"]
    subprocess.run([*argv, "-sigfile", "signature"], cwd=work, check=True, capture_output=True, timeout=120)
    return seq


PEM = public_pem(SIGNER.public_key)
