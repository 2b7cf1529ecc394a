# SPDX-License-Identifier: Apache-2.0
"""Taking up a chain where it ended: what a crash left half written is cut, what somebody changed is told.

A group of entries is acknowledged when it, with its signature, is on disk. What stands behind the last signature was
acknowledged to nobody: it is cut, kept beside the chain and recorded. Anything else that does not fit is damage.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from lictl import faults
from lictl.audit.anchor import Head
from lictl.audit.entry import GENESIS, ROTATED, link_of, parse_entry, parse_signature
from lictl.audit.files import last_entry, last_signed, list_files, name_of
from lictl.home import FILE_MODE, sync_folder
from lictl.keys.signer import signature_is_good

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(slots=True)
class Tail:
    """Where a chain goes on.

    Attributes:
        file: number of the file to write to.
        size: its length.
        seq: number of the last entry; 0 in a new chain.
        head: its hash.
        prev: the link for the next entry.
        open: intents without an outcome.
        signed: hex digits of the key that signed last; "" in a new chain, or where that is none of those asked for.
        announced: hex digits of the key that the last entry hands the chain over to; "" where it does not.
        cut: what was cut, for the record; None where nothing was.
        damage: what does not fit, one sentence; "" where all does.
    """

    file: int = 1
    size: int = 0
    seq: int = 0
    head: str = GENESIS
    prev: str = GENESIS
    open: tuple[int, ...] = ()
    signed: str = ""
    announced: str = ""
    cut: dict[str, Any] | None = None
    damage: str = ""


def take_up(folder: Path, public_keys: Sequence[bytes], anchored: tuple[int, str] | None) -> Tail:
    """Finds the end of the chain and cuts what is torn.

    Args:
        public_keys: that may have signed last: of the site's key, and of the one that is to follow it.
        anchored: the head that was kept elsewhere.

    Raises:
        OSError: the disk.
    """
    tail, files = Tail(), list_files(folder)
    for path in reversed(files):
        data = path.read_bytes()
        found = last_signed(data)
        if found is None and path is not files[-1]:
            tail.damage = f"{path.name} has no signature."
        begin, size = found or (0, 0)
        if size < len(data):
            tail.cut = _cut(path, data, size)
        if path is files[-1]:
            tail.file, tail.size = int(path.stem), size
        if found is not None:
            _read(tail, path, data[begin : size - 1], public_keys)
            tail.announced = announced(last_entry(data, begin))
            break
    _compare(tail, anchored)
    return tail


def announced(line: bytes) -> str:
    """Hex digits of the key that an entry hands the chain over to; "" where it does not, or is none."""
    try:
        entry = parse_entry(line)
    except ValueError:
        return ""
    return str((entry.after or {}).get("to", "")) if entry.action == ROTATED else ""


def _read(tail: Tail, path: Path, line: bytes, public_keys: Sequence[bytes]) -> None:
    tail.prev = link_of(line)
    try:
        signature = parse_signature(line)
    except ValueError:
        tail.damage = tail.damage or f"The last signature in {path.name} is damaged."
        return
    tail.seq, tail.head, tail.open = signature.last, signature.head, signature.open
    good = (key.hex() for key in public_keys if signature_is_good(key, signature.signature, signature.message))
    tail.signed = next(good, "")
    if not tail.signed:
        tail.damage = tail.damage or f"The last signature in {path.name} is not of this site's key."


def _compare(tail: Tail, anchored: tuple[int, str] | None) -> None:
    if anchored is None:
        return
    kept = Head(*anchored)
    if kept.seq > tail.seq:
        tail.damage = f"The chain ends with entry {tail.seq}, but it had {kept.seq}: its end was removed."
        tail.seq = kept.seq  # numbers are not given twice: the gap stays visible
    elif kept.seq == tail.seq and kept.hash != tail.head:
        tail.damage = f"Entry {tail.seq} is not the one that was anchored: the chain was replaced."


def _cut(path: Path, data: bytes, size: int) -> dict[str, Any]:
    """Cuts a file behind its last signature; the rest stays in a file of its own."""
    rest = data[size:]
    kept = path.with_name(f"{path.stem}.torn-{sha256(rest).hexdigest()[:16]}")
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(rest)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    faults.point("audit.recover.kept")
    os.truncate(path, size)
    faults.point("audit.recover.cut")
    return {"file": path.name, "bytes": len(rest), "sha256": sha256(rest).hexdigest(), "kept": kept.name}


def new_file(folder: Path, number: int) -> int:
    """Makes the next file of a chain, or opens it to be appended to; returns its descriptor."""
    path = folder / name_of(number)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    faults.point("audit.file.made")
    sync_folder(folder)
    return descriptor
