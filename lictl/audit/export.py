# SPDX-License-Identifier: Apache-2.0
"""Entries for other programs, and the chain as one file that is verified elsewhere with nothing but the public key.

A bundle is a gzipped tar: the chain's files as they are, `manifest.json` (names, lengths, head, when it was made),
`manifest.sig` (Ed25519 over ``lictl audit bundle v1\\n`` and the manifest, of the chain's newest key) and
`audit.pub`. That copy of the key is for comparison only: who verifies brings the key.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lictl.audit.anchor import Head, code
from lictl.audit.diagnose import Fault
from lictl.audit.entry import parse_signature
from lictl.audit.files import last_signed, list_files
from lictl.audit.succession import succession
from lictl.audit.verify import Verdict, verify
from lictl.errors import MachineError, RefusedError, UsageError
from lictl.home import FILE_MODE
from lictl.inputs import unreadable
from lictl.keys.signer import public_pem, signature_is_good
from lictl.times import format_rfc3339, now_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO, TextIO

    from lictl.audit.entry import Entry
    from lictl.audit.verify import Progress
    from lictl.keys.signer import Signer

CONTEXT: Final = b"lictl audit bundle v1\n"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
PUBLIC: Final = "audit.pub"
COLUMNS: Final = ("seq", "time", "host", "actor", "action", "subject", "before", "after", "sealed", "prev", "hash")
_MEMBER: Final = re.compile(r"\d{6,}\.jsonl|manifest\.json|manifest\.sig|audit\.pub")


def write_json(out: TextIO, entries: Iterable[dict[str, Any]]) -> int:
    """One JSON array, an entry a line (`Entry.to_json`). Returns their count."""
    count = 0
    for count, entry in enumerate(entries, 1):
        out.write(("[" if count == 1 else ",\n") + json.dumps(entry, ensure_ascii=False, sort_keys=False))
    out.write("]\n" if count else "[]\n")
    return count


def write_csv(out: TextIO, entries: Iterable[dict[str, Any]]) -> int:
    """CSV (RFC 4180) with a line of headings; objects are JSON. Returns the count of entries.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    writer, count = csv.writer(out), 0
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerow([_cell(entry[column]) for column in COLUMNS])
        count += 1
    return count


def as_json(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Entries as `write_json` and `write_csv` take them."""
    return (entry.to_json() for entry in entries)


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


# ---- bundles


def manifest_of(folder: Path, signer: Signer) -> tuple[bytes, bytes, list[tuple[str, int]]]:
    """Describes the chain as it is signed now.

    Returns:
        the manifest, its signature, and the files with the lengths that belong to it (a chain goes on growing).

    Raises:
        UsageError: there is nothing to export.
    """
    lengths: list[tuple[str, int]] = []
    head = None
    for path in reversed(list_files(folder)):
        if head is not None:
            lengths.insert(0, (path.name, path.stat().st_size))  # whole: another file follows it
            continue
        data = path.read_bytes()
        found = last_signed(data)
        if found is not None:
            lengths.append((path.name, found[1]))
            last = parse_signature(data[found[0] : found[1] - 1])
            head = Head(last.last, last.head)
    if head is None:
        raise UsageError("The audit chain has no entry yet.", "Nothing was exported.")
    manifest = json.dumps(
        {
            "format": "lictl audit bundle 1",
            "made": format_rfc3339(now_ns()),
            "head": {"seq": head.seq, "hash": head.hash, "code": code(head)},
            "key": signer.public_key.hex(),
            "files": dict(lengths),
        },
        indent=1,
    ).encode()
    return manifest, signer.sign(CONTEXT + manifest), lengths


def write_bundle(target: Path, parts: Iterable[tuple[str, int, BinaryIO]]) -> None:
    """Writes a bundle (0600): all of it or nothing.

    Args:
        parts: name, length and content of each member.

    Raises:
        MachineError: the target cannot be written.
        RefusedError: it is there already.
    """
    half = target.with_name(f".{target.name}.part")
    try:
        if target.exists():
            raise RefusedError(f"{target} is there already.", "Name another file.")
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as bundle:
                for name, size, content in parts:
                    member = tarfile.TarInfo(name)
                    member.size, member.mode = size, FILE_MODE
                    bundle.addfile(member, content)
            file.flush()
            os.fsync(file.fileno())
        half.rename(target)
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}.", "Name another place.") from None
    finally:
        with contextlib.suppress(OSError):  # nothing can be left where nothing may be looked for
            half.unlink()


def bundle_parts(folder: Path, signer: Signer) -> Iterator[tuple[str, int, BinaryIO]]:
    """What belongs into a bundle of the chain in this folder."""
    manifest, signature, lengths = manifest_of(folder, signer)
    yield from small_parts(manifest, signature, signer.public_key)
    for name, size in lengths:
        with (folder / name).open("rb") as file:
            yield name, size, file


def small_parts(manifest: bytes, signature: bytes, public_key: bytes) -> Iterator[tuple[str, int, BinaryIO]]:
    """The members of a bundle that are not files of the chain."""
    for name, content in ((MANIFEST, manifest), (SIGNATURE, signature), (PUBLIC, public_pem(public_key))):
        yield name, len(content), io.BytesIO(content)


def verify_bundle(
    bundle: Path,
    public_key: bytes,
    progress: Progress | None = None,
    *,
    heads: Sequence[Head] = (),
    thorough: bool = False,
) -> Verdict:
    """Verifies a bundle on any machine.

    Args:
        bundle: the file.
        public_key: 32 bytes, not taken from the bundle.
        heads: noted heads that must stand in it.

    Raises:
        UnavailableError: the file is not there, or cannot be read.
        UsageError: it is no bundle.
    """
    with tempfile.TemporaryDirectory(prefix="lictl-bundle-") as name:
        folder = Path(name)
        _unpack(bundle, folder)
        manifest, faults = _manifest(folder, public_key)
        own = [Head(int(manifest["head"]["seq"]), str(manifest["head"]["hash"]))] if manifest else []
        verdict = verify(folder, public_key, None, progress, heads=[*heads, *own], thorough=thorough)
        verdict.faults = faults + verdict.faults
        return verdict


def _unpack(bundle: Path, folder: Path) -> None:
    wrong = UsageError(f"{bundle} is no bundle of an audit chain.", "Make one with `lictl audit export --bundle FILE`.")
    try:
        opened = bundle.open("rb")
    except OSError as error:
        raise unreadable(bundle, error, "a bundle") from None
    try:
        with opened, tarfile.open(fileobj=opened, mode="r:gz") as archive:
            for member in archive:
                # Names of our own only, plain files only: nothing can be written outside of the folder.
                if not (member.isreg() and _MEMBER.fullmatch(member.name)):
                    raise wrong
                content = archive.extractfile(member)
                with (folder / member.name).open("xb") as out:
                    while content is not None and (part := content.read(1 << 20)):
                        out.write(part)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, FileExistsError):
            raise MachineError(f"{bundle} cannot be unpacked: {error.strerror}.", "Make room in TMPDIR.") from None
        raise wrong from None


def _manifest(folder: Path, public_key: bytes) -> tuple[dict[str, Any] | None, list[Fault]]:
    """The manifest where it is signed by the key, and else a fault; files that it does not name are a fault too."""
    try:
        text, signature = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes()
    except FileNotFoundError:
        return None, [Fault("signature", MANIFEST, 0, 0, "The bundle has no signed manifest: its end may be missing.")]
    last = bytes.fromhex(succession(list_files(folder), public_key).keys[-1])  # whose own right to sign is verified too
    if not signature_is_good(last, signature, CONTEXT + text):
        return None, [Fault("signature", MANIFEST, 0, 0, "The manifest is not signed by the given key, or was edited.")]
    manifest: dict[str, Any] = json.loads(text)
    sizes = {path.name: path.stat().st_size for path in list_files(folder)}
    with contextlib.suppress(KeyError):
        return manifest, [
            Fault("edited", name, 0, 0, "The file is not there, or not as long as the manifest says.")
            for name in sorted(manifest["files"].keys() | sizes.keys())
            if manifest["files"].get(name) != sizes.get(name)
        ]
    return manifest, []
