# SPDX-License-Identifier: Apache-2.0
"""A received stream on disk: the file that standard tools open, and beside it the state that survives kill -9."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgpack

from lictl.collection.account import Account
from lictl.delivery.folder import Folder
from lictl.delivery.slots import SlotFile
from lictl.delivery.wire import Hello, ProtocolError
from lictl.errors import IntegrityError
from lictl.portable import pread, pwrite, sync_data

if TYPE_CHECKING:
    from pathlib import Path

_SLOT_BYTES = 4096
_STATE_SUFFIX = ".state"
_FIELD_LIMIT = 128
_NAME_LIMIT = 200
_SUFFIX = re.compile(r"[a-z0-9]{1,16}")
_SPOOL = re.compile(r"[0-9a-f]{32}")


def clean_name(text: str) -> str:
    """A part of a file name: everything but letters, digits, ``_ - .`` and ``~`` is percent-encoded."""
    return quote(text, safe="")


def base_name(hello: Hello) -> str:
    """File name without number and suffix of a stream.

    Raises:
        ProtocolError: a name that no honest sender would use.
    """
    texts = (hello.liid, hello.stream, hello.format, hello.mode, hello.operator, hello.element)
    if any(len(text.encode(errors="replace")) > _FIELD_LIMIT for text in texts):
        raise ProtocolError(f"A name in HELLO is longer than {_FIELD_LIMIT} bytes.")
    if not hello.liid or not hello.stream:
        raise ProtocolError("HELLO names no LIID or no stream.")
    if not _SUFFIX.fullmatch(hello.suffix) or not _SPOOL.fullmatch(hello.spool):
        raise ProtocolError("HELLO names an impossible file suffix or spool.")
    try:
        base = f"{clean_name(hello.liid)}-{clean_name(hello.stream)}"
    except UnicodeEncodeError:
        raise ProtocolError("A name in HELLO is no valid text.") from None
    if len(base) > _NAME_LIMIT:
        raise ProtocolError("The names in HELLO make too long a file name.")
    return "%2E" + base[1:] if base.startswith(".") else base


class StreamFile:
    """One stream's file and books.

    Attributes:
        name: of the file, in the receiver's folder.
        account: the books, as far as blocks were written.
        durable: last block that a crash cannot take away.
    """

    def __init__(self, folder: Folder, base: str, account: Account | None) -> None:
        """Opens what is there, cut to what the state says; `account` begins a new one."""
        self._state = SlotFile(folder, f".{base}{_STATE_SUFFIX}", b"LIR1", _SLOT_BYTES)
        body = self._state.read()
        if body is not None:
            account = Account.from_plain(msgpack.unpackb(body))
        elif os.fstat(self._state.fd).st_size:
            self._state.close()
            raise IntegrityError(
                f"The state of the received stream {base} is damaged.", "Move its files away; the sender resends."
            )
        elif account is None:  # killed before the first commit: nothing was acknowledged
            self._state.close()
            raise FileNotFoundError(base)
        self.account = account
        self.durable = account.block
        self.name = f"{base}.{account.suffix}"
        self._fd = folder.open(self.name, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._fd, account.size)

    def matches(self, hello: Hello) -> bool:
        """Whether this is the stream that a HELLO names."""
        account = self.account
        return (account.liid, account.stream, account.spool) == (hello.liid, hello.stream, hello.spool)

    def append(self, payload: memoryview) -> None:
        """Writes a payload behind the ones before; on OSError nothing of it remains."""
        done = 0
        try:
            while done < len(payload):
                done += pwrite(self._fd, payload[done:], self.account.size + done)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.account.size)
            raise

    def snapshot(self) -> tuple[int, bytes]:
        """The block reached and the books as they stand now, for `commit`."""
        return self.account.block, msgpack.packb(self.account.to_plain())

    def commit(self, snapshot: tuple[int, bytes], *, durable: bool) -> None:
        """Makes everything up to a snapshot survive a crash: first the data, then the state that counts them."""
        block, body = snapshot
        if durable:
            sync_data(self._fd)
        self._state.write(body, sync=durable)
        self.durable = block

    def roll_back(self) -> None:
        """Returns to the last commit, after the disk failed."""
        body = self._state.read()
        if body is not None:
            self.account = Account.from_plain(msgpack.unpackb(body))
        self.durable = self.account.block
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self.account.size)

    def sha256(self, size: int) -> str:
        """Digest of the file's first `size` bytes, hex."""
        digest = hashlib.sha256()
        left, offset = size, 0
        while left > 0 and (data := pread(self._fd, min(left, 1 << 20), offset)):
            digest.update(data)
            left -= len(data)
            offset += len(data)
        return digest.hexdigest()

    def close(self) -> None:
        """Closes both files."""
        self._state.close()
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._fd = -1


class StreamStore:
    """All streams of a receiver's folder."""

    def __init__(self, folder: Path, max_streams: int) -> None:
        self._folder = Folder(folder)
        self._max_streams = max_streams
        self.files: dict[str, StreamFile] = {}
        for state in sorted(self._folder.names()):
            if state.startswith(".") and state.endswith(_STATE_SUFFIX):
                base = state[1 : -len(_STATE_SUFFIX)]
                with contextlib.suppress(FileNotFoundError):
                    self.files[base] = StreamFile(self._folder, base, None)

    def open(self, hello: Hello) -> StreamFile:
        """The file of the stream that a HELLO names; another spool of the same name gets a numbered one.

        Raises:
            ProtocolError: its names are impossible, or there are too many streams.
        """
        base = base_name(hello)
        number, candidate = 1, base
        while candidate in self.files and not self.files[candidate].matches(hello):
            number += 1
            candidate = f"{base}.{number}"
        if candidate not in self.files:
            if len(self.files) >= self._max_streams:
                raise ProtocolError(f"There are {self._max_streams} streams already.")
            self.files[candidate] = StreamFile(self._folder, candidate, Account.begin(hello))
        return self.files[candidate]

    def close(self) -> None:
        """Closes every file."""
        for file in self.files.values():
            file.close()
        self._folder.close()
