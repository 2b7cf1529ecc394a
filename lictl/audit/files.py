# SPDX-License-Identifier: Apache-2.0
"""The chain's files: `audit/NNNNNN.jsonl`, numbered from 1 without gaps; each begins behind a signature."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lictl.audit.entry import SIGNATURE_START
from lictl.errors import MachineError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "audit"
SUFFIX: Final = ".jsonl"
_NAME: Final = re.compile(r"\d{6,}\.jsonl")
_STEP: Final = 1 << 16


def name_of(number: int) -> str:
    """The name of one file."""
    return f"{number:06d}{SUFFIX}"


def number_of(path: Path) -> int:
    """The number in a file's name."""
    return int(path.name.removesuffix(SUFFIX))


def list_files(folder: Path) -> list[Path]:
    """The chain's files in their order.

    Raises:
        UnavailableError: there is no such folder, or it may not be read.
    """
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except FileNotFoundError:
        raise UnavailableError(
            f"{folder} is not there.", "The chain begins when lictl first acts on this home."
        ) from None
    except OSError as error:
        raise UnavailableError(
            f"{folder} cannot be read: {error.strerror}.", "Ask through the daemon, or as the owner of the home."
        ) from None
    return sorted(found, key=number_of)


def last_signed(data: bytes) -> tuple[int, int] | None:
    """Where the last whole signature line stands: (begin, end behind its line end); None where there is none."""
    end = len(data)
    while (end := data.rfind(b"\n", 0, end)) >= 0:
        begin = data.rfind(b"\n", 0, end) + 1
        if data.startswith(SIGNATURE_START, begin):
            return begin, end + 1
    return None


def last_entry(data: bytes, signature: int) -> bytes:
    """The line in front of the signature that begins at `signature`, without its line end."""
    return data[data.rfind(b"\n", 0, max(signature - 1, 0)) + 1 : max(signature - 1, 0)]


def first_line(path: Path) -> bytes:
    """The first line without its line end; b"" where the file is empty."""
    data = b""
    with path.open("rb") as file:
        while b"\n" not in data and (more := file.read(_STEP)):
            data += more
    return data.split(b"\n", 1)[0]


def disk_error(path: Path, error: OSError) -> MachineError:
    """For people."""
    return MachineError(
        f"The audit chain cannot be written ({path.name}: {error.strerror}).",
        "Nothing is done that is not recorded: free space or repair the disk, then do it again.",
    )
