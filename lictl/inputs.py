# SPDX-License-Identifier: Apache-2.0
"""Files that a person names to be read: with a bound, and with one way to fail wherever one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1 << 20


def unreadable(path: Path | str, error: OSError, what: str) -> UnavailableError:
    """The failure of a file that is not there, is a folder, or may not be read.

    Args:
        path: as it was named.
        error: what the operating system says.
        what: it should be, such as "a warrant file".
    """
    return UnavailableError(f"{path} cannot be read: {error.strerror or error}.", f"Name {what}.")


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a small file; what it holds behind the bound is never read.

    Args:
        path: as it was named.
        what: it should be, such as "a warrant file".

    Raises:
        UnavailableError: it is not there, or cannot be read.
        UsageError: it has more than MOST_BYTES.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error, what) from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} has more than {MOST_BYTES} bytes.", f"Name {what}.")
    return data


def read_text(path: Path, what: str) -> str:
    """The text of a small file; errors as of `read_bytes`, and UsageError where it is no UTF-8."""
    try:
        return read_bytes(path, what).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8, at byte {error.start}.", f"Name {what}.") from None
