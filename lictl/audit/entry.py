# SPDX-License-Identifier: Apache-2.0
"""One entry of the chain, one signature, and the exact bytes that stand for them.

A file of the chain has two kinds of lines, JSON in ASCII without spaces, in this order of fields:

- an entry: ``{"prev":H,"seq":N,"time":T,"host":S,"actor":{},"action":S,"subject":S,"before":{},"after":{},
  "sealed":B,"hash":H}``. `hash` is SHA-256 of the line's bytes before ``,"hash"``; `prev` is the `hash` of the entry in
  front, or, behind a signature, SHA-256 of that whole line without its line end; 64 zeros in the first entry.
- a signature: ``{"head":H,"first":N,"last":N,"open":[N],"time":T,"signature":B}``. `head` is the `hash` of entry
  `last`; it closes the entries from `first` to `last`; `open` lists the intents that were not resolved yet. Ed25519
  over ``lictl audit v1\\n`` and the line's bytes before ``,"signature"``.

An entry "chain.rotated" hands the chain over to another key: `after` has `from` and `to`, hex digits of public keys.
It is the last one in its file, whose signatures are of `from`; those of the files behind it are of `to`.

H is 64 hex digits, T RFC 3339 in UTC, B base64. Keys of nested objects are sorted. So every byte but those of the last
signature is under a hash that the next line repeats, and the last signature signs for all that stands in front of it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from lictl.times import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from lictl.keys.signer import Signer

GENESIS: Final = "0" * 64
CONTEXT: Final = b"lictl audit v1\n"
ENTRY_START: Final = b'{"prev":"'
SIGNATURE_START: Final = b'{"head":"'
HASH_TAIL: Final = 75
"""Bytes of ``,"hash":"<64>"}`` at the end of an entry."""
SIGNATURE_TAIL: Final = 104
"""Bytes of ``,"signature":"<88>"}`` at the end of a signature."""
OUTCOMES: Final = frozenset({"done", "failed"})
ROTATED: Final = "chain.rotated"
NOTES: Final = ("read.", "chain.", "note.", "alarm.", "reconcile.", "clock.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        seq: its number, from 1 without gaps.
        time_ns: UTC nanoseconds.
        host: name of the machine.
        actor: who: uid, name, login_uid, pid, role as far as they are known; {"name": "lictl"} for lictl itself.
        action: what, such as "warrant.approve"; "done" and "failed" resolve an intent.
        subject: about what: a warrant's id, an agency; the intent's number in "done" and "failed".
        before: what was changed, None where nothing is.
        after: what it was changed to.
        sealed: what names a target, under the warrant's key; None where there is nothing.
        prev: the link to the line in front.
        hash: of this entry.
    """

    seq: int
    time_ns: int
    host: str
    actor: dict[str, Any]
    action: str
    subject: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    sealed: bytes | None
    prev: str
    hash: str

    @property
    def intent(self) -> bool:
        """True where a "done" or "failed" has to follow."""
        return is_intent(self.action)

    def to_json(self) -> dict[str, Any]:
        """For people and programs: as in the file."""
        return {
            "seq": self.seq,
            "time": format_rfc3339(self.time_ns),
            "host": self.host,
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "sealed": None if self.sealed is None else base64.b64encode(self.sealed).decode(),
            "prev": self.prev,
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True)
class Signature:
    """The end of a group of entries.

    Attributes:
        head: hash of entry `last`.
        first: number of the first entry it closes.
        last: number of the last.
        open: numbers of the intents without an outcome.
        time_ns: UTC nanoseconds.
        signature: 64 bytes.
        message: what is signed.
    """

    head: str
    first: int
    last: int
    open: tuple[int, ...]
    time_ns: int
    signature: bytes
    message: bytes


def is_intent(action: str) -> bool:
    """Whether an action announces a change, whose outcome has to be recorded."""
    return action not in OUTCOMES and not action.startswith(NOTES)


def pack_entry(
    prev: str,
    seq: int,
    time_ns: int,
    host: str,
    *,
    actor: dict[str, Any],
    action: str,
    subject: str | None,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    sealed: bytes | None,
) -> tuple[bytes, str]:
    """The line of an entry without its line end, and its hash.

    Raises:
        TypeError: a value that JSON does not have.
        ValueError: a number that JSON does not have.
    """
    body = (
        f'{{"prev":"{prev}","seq":{seq},"time":"{format_rfc3339(time_ns)}","host":{_json(host)},"actor":{_json(actor)}'
        f',"action":{_json(action)},"subject":{_json(subject)},"before":{_json(before)},"after":{_json(after)}'
        f',"sealed":{_json(None if sealed is None else base64.b64encode(sealed).decode())}'
    ).encode("ascii")
    digest = sha256(body).hexdigest()
    return body + f',"hash":"{digest}"}}'.encode(), digest


def pack_signature(signer: Signer, head: str, first: int, last: int, open_: list[int], time_ns: int) -> bytes:
    """The line of a signature without its line end."""
    body = (
        f'{{"head":"{head}","first":{first},"last":{last},"open":{_json(sorted(open_))}'
        f',"time":"{format_rfc3339(time_ns)}"'
    ).encode("ascii")
    return body + f',"signature":"{base64.b64encode(signer.sign(CONTEXT + body)).decode()}"}}'.encode()


def parse_entry(line: bytes) -> Entry:
    """An entry from its line; its hash is not compared (`hash_of`).

    Raises:
        ValueError: the line is none.
    """
    value = _object(line, ENTRY_START)
    try:
        sealed = value["sealed"]
        return Entry(
            int(value["seq"]),
            parse_rfc3339(value["time"]),
            value["host"],
            value["actor"],
            value["action"],
            value["subject"],
            value["before"],
            value["after"],
            None if sealed is None else base64.b64decode(sealed, validate=True),
            value["prev"],
            value["hash"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a field is missing or of another kind: {error}") from None


def parse_signature(line: bytes) -> Signature:
    """A signature from its line; it is not checked (`lictl.keys.signer.signature_is_good`).

    Raises:
        ValueError: the line is none.
    """
    value = _object(line, SIGNATURE_START)
    try:
        signature = base64.b64decode(value["signature"], validate=True)
        # Base64 leaves four bits of the last symbol unused: another symbol there would be an edit that nothing shows.
        if line[-SIGNATURE_TAIL:] != b',"signature":"%b"}' % base64.b64encode(signature):
            raise ValueError("the signature is not written as it should be")
        return Signature(
            value["head"],
            int(value["first"]),
            int(value["last"]),
            tuple(map(int, value["open"])),
            parse_rfc3339(value["time"]),
            signature,
            CONTEXT + line[:-SIGNATURE_TAIL],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a field is missing or of another kind: {error}") from None


def hash_of(line: bytes) -> str:
    """What an entry's `hash` must be."""
    return sha256(line[:-HASH_TAIL]).hexdigest()


def link_of(signature_line: bytes) -> str:
    """What stands as `prev` behind a signature."""
    return sha256(signature_line).hexdigest()


def is_exact(line: bytes) -> bool:
    """Whether an entry's line has the one form that its values have: no field twice, none added, none reordered."""
    entry = parse_entry(line)
    again, _ = pack_entry(
        entry.prev,
        entry.seq,
        entry.time_ns,
        entry.host,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        before=entry.before,
        after=entry.after,
        sealed=entry.sealed,
    )
    return again[:-HASH_TAIL] == line[:-HASH_TAIL]


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _object(line: bytes, start: bytes) -> dict[str, Any]:
    if not line.startswith(start):
        raise ValueError("the line does not begin as it should")
    try:
        value = json.loads(line)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(value, dict):
        raise ValueError("the line is no object")
    return value
