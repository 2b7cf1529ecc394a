# SPDX-License-Identifier: Apache-2.0
"""The keys of sealed payloads (TS 102 232-1, clause 7), as `lictl agency keys --payload-key-to` writes them."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from lictl.errors import UsageError
from lictl.inputs import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ASK_FOR_KEY = "Ask the operator for the payload key of this agency: `lictl agency keys NAME --payload-key-to FILE`."
_OCTETS = 32
_LONGEST = 1 << 10


def payload_keys(files: Iterable[Path]) -> tuple[bytes, ...]:
    """AES-256 keys, each in a file of its own: 64 hexadecimal digits.

    Raises:
        UnavailableError: a file cannot be read.
        UsageError: a file holds no such key, or the package that opens payloads is not installed.
    """
    keys = tuple(_key(path) for path in files)
    if keys and importlib.util.find_spec("cryptography") is None:
        raise UsageError("sealed payloads need the package cryptography.", "pip install cryptography")
    return keys


def _key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST)
    except OSError as error:
        raise unreadable(path, error, "the file of the payload key") from None
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != _OCTETS:
        raise UsageError(f"{path} is no payload key: that is {2 * _OCTETS} hexadecimal digits.", ASK_FOR_KEY)
    return key
