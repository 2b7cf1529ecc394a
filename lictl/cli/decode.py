# SPDX-License-Identifier: Apache-2.0
"""`lictl decode`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from lictl.cli import state
from lictl.inputs import unreadable


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("decode", epilog="Example: lictl decode evidence/LIID0117.etsi-102232 -v")(decode)


def decode(
    file: Annotated[Path, typer.Argument(help="A stream as it was delivered; - reads standard input.")],
    format_: Annotated[
        str, typer.Option("--format", help="Name of the format; auto: told from the first octets.")
    ] = "auto",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="All fields of each PDU, as a tree.")] = False,
    payload_key: Annotated[
        list[Path] | None, typer.Option(help="File with the key of sealed payloads (ETSI TS 102 232-1). Repeat.")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Prints a delivered stream of any format, one line a PDU or record; with --json one object a line.

    Damaged input gives what is readable before the damage, then an error that names the place, and exit code 5.
    """
    from lictl.collection.payload_key import payload_keys
    from lictl.collection.reading import read

    now = state.use(home, as_json)
    keys = payload_keys(payload_key or ())
    with _opened(file) as stream:
        for found in read(stream, "" if format_ == "auto" else format_, keys):
            for line in _json(found, verbose) if now.as_json else _text(found, verbose):
                sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _text(found: Any, verbose: bool) -> Iterator[str]:
    from lictl.collection import show
    from lictl.handover.pdu import Pdu

    if isinstance(found, Pdu):
        yield show.line(found)
        yield from show.tree(found) if verbose else ()
    else:
        yield show.item_line(found)
        yield from show.item_tree(found) if verbose else ()


def _json(found: Any, verbose: bool) -> Iterator[str]:
    from lictl.collection import show
    from lictl.handover.pdu import Pdu

    if isinstance(found, Pdu):
        fields = {"fields": show.plain_tree(found.tree)} if verbose else {}
        yield json.dumps({**show.plain(found), **fields})
    else:
        yield json.dumps(show.item_plain(found))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise unreadable(file, error, "a stream as it was delivered") from None
    with stream:
        yield stream
