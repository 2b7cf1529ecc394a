# SPDX-License-Identifier: Apache-2.0
"""Options of `lictl agency add` that say how an agency is reached."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from lictl.cli.files import require_place
from lictl.errors import MachineError, RefusedError, UsageError
from lictl.inputs import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

_PORT = re.compile(r"[0-9]{1,5}")


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """KEY=VALUE texts as a dict.

    Raises:
        UsageError: one is not of that form.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"--{option} {text} is not KEY=VALUE.", f"Write for example --{option} encoding=hex.")
        found[key] = value
    return found


def pem(path: Path | None) -> str:
    """A file's text; "" where none was named.

    Raises:
        UnavailableError: it cannot be read.
        UsageError: it is no text.
    """
    if path is None:
        return ""
    try:
        return read_bytes(path, "a PEM file").decode("ascii")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no PEM file.", "Convert it: `openssl x509 -inform der`.") from None


def require_new(path: Path) -> None:
    """Before a secret is asked for: whether it could be written into a new file here; errors as of `write_secret`."""
    if os.path.lexists(path):
        raise RefusedError(f"{path} is there already.", "Name a new file.")
    require_place(path)


def write_secret(path: Path, text: str) -> None:
    """Writes a secret into a new file that only its owner reads.

    Raises:
        RefusedError: there is a file of that name.
        MachineError: it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise RefusedError(f"{path} is there already.", "Name a new file.") from None
    except OSError as error:
        raise MachineError(
            f"{path} cannot be written: {error.strerror}.", "Name a file in a folder of yours."
        ) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


def place(text: str | None) -> dict[str, Any]:
    """HOST:PORT of the receiver of events.

    Raises:
        UsageError: it is not of that form.
    """
    if text is None:
        return {}
    host, colon, port = text.rpartition(":")
    if not (host and colon and _PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise UsageError(f"--events {text} is not HOST:PORT.", "Write 192.0.2.10:41817 or [2001:db8::1]:41817.")
    return {"events_host": host.removeprefix("[").removesuffix("]"), "events_port": int(port)}
