# SPDX-License-Identifier: Apache-2.0
"""The agency's check of files that it fetched: signatures, hashes, the chain of manifests, every packet's number.

Needs nothing but Python and `cryptography`; the same with openssl and sha256sum: docs/formats/store-and-forward.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lictl.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = ".manifest.json"
SIGNATURE = ".sig"
VERSION = 1
_MOST_BYTES = 1 << 22
_CHUNK = 1 << 20
_COUNTS = ("number", "first_sequence", "last_sequence", "records", "lost", "skipped")
_TEXTS = ("previous", "liid", "stream", "spool")


@dataclass(frozen=True, slots=True)
class FilesVerdict:
    """One stream's files.

    Attributes:
        ok: nothing contradicts a manifest, and all manifests follow on each other.
        complete: ok, they begin with the stream's first packet, and the last one says that the stream is over.
        first_number, last_number: of the files that are here.
        first_sequence: number of the first packet that they account for.
        records, lost, skipped: packets in them; lost, each at its place; numbers that no packet ever had.
        missing: files or parts of them that are not here and that nothing explains.
        problems: sentences, each with the file's name.
    """

    liid: str
    stream: str
    files: int
    first_number: int
    last_number: int
    first_sequence: int
    records: int
    lost: int
    skipped: int
    missing: int
    ended: bool
    problems: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    @property
    def complete(self) -> bool:
        """Nothing is wrong, and nothing is still to come or was fetched elsewhere."""
        return self.ok and self.ended and self.first_number == 1 and self.first_sequence == 1

    def to_plain(self) -> dict[str, Any]:
        """A dict for JSON."""
        return {"ok": self.ok, "complete": self.complete, **asdict(self)}


@dataclass(frozen=True, slots=True)
class _Read:
    path: Path
    digest: str
    plain: dict[str, Any]


def verify_folder(folder: Path, public_pem: bytes) -> list[FilesVerdict]:
    """Verifies all files in a folder and the folders in it; one verdict a stream.

    Args:
        folder: as it was fetched.
        public_pem: the public key that `lictl agency keys NAME` shows, which came on another way than the files.

    Raises:
        UsageError: the key is none.
        UnavailableError: there is no manifest.
    """
    key = _key(public_pem)
    streams: dict[tuple[str, str], list[_Read]] = {}
    problems: list[str] = []
    paths = sorted(folder.rglob(f"*{MANIFEST}"))
    if not paths:
        raise UnavailableError(f"There is no file *{MANIFEST} in {folder}.", "Name the folder with the fetched files.")
    for path in paths:
        read = _read(path, key)
        if isinstance(read, str):
            problems.append(f"{path.name}: {read}.")
        else:
            streams.setdefault((read.plain["stream"], read.plain["spool"]), []).append(read)
    verdicts = [_judge(reads) for reads in streams.values()]
    bad = tuple(problems)
    return [*verdicts, FilesVerdict("", "", 0, 0, 0, 0, 0, 0, 0, 0, False, bad)] if bad else verdicts


def _key(public_pem: bytes) -> Ed25519PublicKey:
    with contextlib.suppress(ValueError, UnsupportedAlgorithm):
        key = load_pem_public_key(public_pem)
        if isinstance(key, Ed25519PublicKey):
            return key
    raise UsageError("That is no Ed25519 public key in PEM.", "Ask the operator for `lictl agency keys`.")


def _read(path: Path, key: Ed25519PublicKey) -> _Read | str:
    """The manifest, or what is wrong with it; nothing of it is believed before its signature holds."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return "too long for a manifest"
        text = path.read_bytes()
        key.verify(path.with_name(path.name + SIGNATURE).read_bytes(), text)
        plain = json.loads(text)
    except InvalidSignature:
        return "the signature does not hold"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        return "is no JSON"
    if not isinstance(plain, dict) or plain.get("manifest") != VERSION or not _shaped(plain):
        return "is no manifest of this version"
    return _Read(path, hashlib.sha256(text).hexdigest(), plain)


def _shaped(plain: dict[str, Any]) -> bool:
    numbers = all(type(plain.get(name)) is int and plain[name] >= 0 for name in _COUNTS)
    texts = all(isinstance(plain.get(name), str) for name in _TEXTS)
    parts = all(
        isinstance(part := plain.get(name), dict)
        and isinstance(part.get("name"), str)
        and "/" not in part["name"]
        and "\\" not in part["name"]
        and type(part.get("size")) is int
        and isinstance(part.get("sha256"), str)
        for name in ("content", "events")
    )
    return numbers and texts and parts and isinstance(plain.get("ended"), bool)


def _judge(reads: list[_Read]) -> FilesVerdict:
    reads.sort(key=lambda read: read.plain["number"])
    problems: list[str] = []
    missing = 0
    before: _Read | None = None
    for read in reads:
        plain = read.plain
        for part in ("content", "events"):
            if wrong := _wrong(read.path.parent, plain[part]):
                problems.append(f"{plain[part]['name']}: {wrong}.")
                missing += wrong == "is not here"
        if plain["records"] + plain["lost"] + plain["skipped"] != plain["last_sequence"] - plain["first_sequence"] + 1:
            problems.append(f"{read.path.name}: its packets do not add up.")
        missing += _follow(before, read, problems)
        before = read
    first, last = reads[0].plain, reads[-1].plain
    sums = {name: sum(read.plain[name] for read in reads) for name in ("records", "lost", "skipped")}
    return FilesVerdict(
        last["liid"], last["stream"], len(reads), first["number"], last["number"], first["first_sequence"],
        sums["records"], sums["lost"], sums["skipped"], missing, last["ended"], tuple(problems),
    )  # fmt: skip


def _follow(before: _Read | None, read: _Read, problems: list[str]) -> int:
    """Holds a manifest against the one before it; returns how many files are not here."""
    plain, name = read.plain, read.path.name
    if before is None:
        if plain["number"] == 1 and plain["previous"]:
            problems.append(f"{name}: the first file follows on another one.")
        return 0
    absent: int = plain["number"] - before.plain["number"] - 1
    if absent < 0:
        problems.append(f"{name}: there are two files of number {plain['number']}.")
    elif absent:
        problems.append(f"{name}: {absent} files before it are not here.")
    elif plain["previous"] != before.digest:
        problems.append(f"{name}: it does not follow on the manifest before it.")
    elif plain["first_sequence"] != before.plain["last_sequence"] + 1 or before.plain["ended"]:
        problems.append(f"{name}: its packets do not follow on those of the file before it.")
    return max(absent, 0)


def _wrong(folder: Path, part: dict[str, Any]) -> str:
    """What is wrong with a file; "": nothing."""
    digest = hashlib.sha256()
    size = 0
    try:
        with (folder / part["name"]).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return "is not here"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if size != part["size"]:
        return f"has {size} bytes in place of {part['size']}"
    return "" if digest.hexdigest() == part["sha256"] else "is not what was signed"
