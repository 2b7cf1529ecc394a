# SPDX-License-Identifier: Apache-2.0
"""Looking at one file of the chain: whether every link holds, as fast as Python can, and nothing parsed.

Every line's hash is computed and compared with what the next line repeats; the last line, a signature, is checked
against the key. That proves every byte of the file, earlier signatures included, as the key's holder wrote it. Where
it does not hold, `lictl.audit.diagnose` finds the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from lictl.audit.entry import (
    ENTRY_START,
    HASH_TAIL,
    SIGNATURE_START,
    hash_of,
    is_exact,
    link_of,
    parse_signature,
)
from lictl.keys.signer import signature_is_good

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_PREV: Final = slice(len(ENTRY_START), len(ENTRY_START) + 64)
_SEQ: Final = len(ENTRY_START) + 64 + len(b'","seq":')


@dataclass(frozen=True, slots=True)
class FileScan:
    """What one file holds.

    Attributes:
        number: in its name.
        good: every link and the last signature hold.
        first: number of its first entry, 0 where it has none.
        prev: link in its first entry.
        last: number of its last entry.
        head: hash of that entry.
        next: what must stand as `prev` in the file behind.
        entries: their count.
        size: bytes.
        hashes: of the entries that were asked for, by number.
        last_time: RFC 3339 of its last signature, "" where there is none.
    """

    number: int
    good: bool
    first: int = 0
    prev: str = ""
    last: int = 0
    head: str = ""
    next: str = ""
    entries: int = 0
    size: int = 0
    hashes: tuple[tuple[int, str], ...] = ()
    last_time: str = ""


def scan(path: Path, public_key: bytes, wanted: Collection[int] = (), *, thorough: bool = False) -> FileScan:
    """Looks at one file.

    Args:
        wanted: numbers of entries whose hashes are asked for.
        thorough: also every signature and the exact form of every entry.
    """
    data, number = path.read_bytes(), int(path.stem)
    lines = data.split(b"\n")
    if lines.pop() or not lines or not lines[0].startswith(ENTRY_START) or not lines[-1].startswith(SIGNATURE_START):
        return FileScan(number, False, size=len(data))
    try:
        first = _number(lines[0])
        links = _links(lines, first)
        if links is None:
            return FileScan(number, False, size=len(data))
        last, head, hashes = links[0], links[1], _hashes(lines, wanted)
        signature = parse_signature(lines[-1])
        good = signature_is_good(public_key, signature.signature, signature.message)
        if thorough:
            good = good and all(_is_good(line, public_key) for line in lines)
    except (ValueError, KeyError):
        return FileScan(number, False, size=len(data))
    return FileScan(
        number, good, first, lines[0][_PREV].decode(), last, head.decode(), link_of(lines[-1]),
        last - first + 1, len(data), hashes, _time(lines[-1]),
    )  # fmt: skip


def _links(lines: list[bytes], first: int) -> tuple[int, bytes] | None:
    """Number and hash of the last entry; None where a link does not hold."""
    prev, seq, signed, head = lines[0][_PREV], first - 1, first - 1, b""
    for line in lines:
        if line[:9] == ENTRY_START:
            digest = sha256(line[:-HASH_TAIL]).hexdigest().encode()
            seq += 1
            number = b"%d," % seq
            if (
                line[_PREV] != prev
                or line[-HASH_TAIL:] != b',"hash":"%b"}' % digest
                or line[_SEQ : _SEQ + len(number)] != number
            ):
                return None
            prev = head = digest
        else:
            start = b'{"head":"%b","first":%d,"last":%d,"open":' % (head, signed + 1, seq)
            if not line.startswith(start):
                return None
            signed, prev = seq, sha256(line).hexdigest().encode()
    return seq, head


def _number(line: bytes) -> int:
    return int(line[_SEQ : line.index(b",", _SEQ)])


def _hashes(lines: list[bytes], wanted: Collection[int]) -> tuple[tuple[int, str], ...]:
    if not wanted:
        return ()
    low, high = min(wanted), max(wanted)
    return tuple(
        (number, hash_of(line))
        for line in lines
        if line[:9] == ENTRY_START and low <= (number := _number(line)) <= high and number in wanted
    )


def _is_good(line: bytes, public_key: bytes) -> bool:
    if line.startswith(ENTRY_START):
        return is_exact(line)
    signature = parse_signature(line)
    return signature_is_good(public_key, signature.signature, signature.message)


def _time(line: bytes) -> str:
    at = line.rindex(b'"time":"') + 8
    return line[at : line.index(b'"', at)].decode()
