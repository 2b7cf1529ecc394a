# SPDX-License-Identifier: Apache-2.0
"""The chain's head, kept where who cuts the chain does not reach: the database, the syslog, a sheet of paper."""

from __future__ import annotations

import syslog
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from lictl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

# Crockford's base 32: no I, L, O, U; the check symbol is the number modulo 37, which finds every wrong symbol and
# every pair of neighbours that changed places.
DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECKS: Final = DIGITS + "*~$=U"
CODE_BITS: Final = 80
_GROUP: Final = 4
_SAME: Final = str.maketrans("OIL", "011")


class Head(NamedTuple):
    """Where the chain stood.

    Attributes:
        seq: number of its last entry.
        hash: of that entry: 64 hex digits, or the first of them where it comes from a printed code.
    """

    seq: int
    hash: str


class Anchor(Protocol):
    """A place outside the chain's files that keeps the last head."""

    def write(self, seq: int, hash: str) -> None:
        """Keeps a head, durably; heads come in order.

        Raises:
            LictlError, OSError: it could not. The chain goes on, and tells.
        """
        ...

    def read(self) -> tuple[int, str] | None:
        """The last head that was kept; None where there is none."""
        ...


class SyslogAnchor:
    """Writes heads to the syslog, which another machine may keep (rsyslog, journald forwarding). Reads nothing.

    Args:
        every_s: least time between two messages; the head of the last group follows with the next one.
    """

    def __init__(self, every_s: float = 10.0, send: Callable[[int, str], None] = syslog.syslog) -> None:
        self._every_s = every_s
        self._send = send
        self._last = -every_s

    def write(self, seq: int, hash: str) -> None:
        """See `Anchor.write`."""
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self._send(syslog.LOG_NOTICE | syslog.LOG_AUTHPRIV, f"lictl audit head {code(Head(seq, hash))}")

    def read(self) -> None:
        """Nothing: messages are compared by a person, or by `lictl audit verify --head CODE`."""
        return


class Anchors:
    """Several anchors as one: writes to all, reads the first that has a head."""

    def __init__(self, *anchors: Anchor) -> None:
        self._anchors = anchors

    def write(self, seq: int, hash: str) -> None:
        """See `Anchor.write`; one that fails keeps no other from being written."""
        failed: Exception | None = None
        for anchor in self._anchors:
            try:
                anchor.write(seq, hash)
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed

    def read(self) -> tuple[int, str] | None:
        """See `Anchor.read`."""
        return next((head for anchor in self._anchors if (head := anchor.read()) is not None), None)


def code(head: Head) -> str:
    """A head to be printed, written down or read over the telephone: ``1234-XXXX-XXXX-XXXX-XXXX-C``.

    The number of the entry, 80 bits of its hash, a check symbol.
    """
    value = int(head.hash[: CODE_BITS // 4], 16)
    symbols = "".join(DIGITS[value >> shift & 31] for shift in range(CODE_BITS - 5, -1, -5))
    groups = [symbols[at : at + _GROUP] for at in range(0, len(symbols), _GROUP)]
    return "-".join((str(head.seq), *groups, _check(head.seq, value)))


def parse_code(text: str) -> Head:
    """The head that a code stands for; its hash has 20 digits.

    Raises:
        UsageError: it was copied wrongly.
    """
    groups = text.strip().upper().split("-")
    wrong = UsageError(f"{text.strip()!r} is no head of a chain, or was copied wrongly.", "Compare it with the print.")
    if len(groups) != 2 + CODE_BITS // 5 // _GROUP:
        raise wrong
    number, symbols = groups[0].translate(_SAME), "".join(groups[1:-1]).translate(_SAME)
    good = number.isascii() and number.isdigit() and len(symbols) == CODE_BITS // 5 and set(symbols) <= set(DIGITS)
    if not good or len(number) > 18:
        raise wrong
    value = 0
    for symbol in symbols:
        value = value << 5 | DIGITS.index(symbol)
    if groups[-1] != _check(int(number), value):
        raise wrong
    return Head(int(number), f"{value:0{CODE_BITS // 4}x}")


def _check(seq: int, value: int) -> str:
    return CHECKS[(seq << CODE_BITS | value) % 37]
