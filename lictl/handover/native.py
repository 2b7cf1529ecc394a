# SPDX-License-Identifier: Apache-2.0
"""What the formats encoded in C share: one output buffer a thread, and the numbers of a stream's interfaces."""

from __future__ import annotations

import errno
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from lictl.errors import LictlError, RefusedError
from lictl.handover.base import Encoded, Encoder
from lictl.probe.abi import AT_EGRESS, MAX_IFINDEX
from lictl.probe.native import ffi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.base import Gap, StreamInfo
    from lictl.probe.batch import Batch, Selection

# Small enough to stay in the processor's cache, large enough for any record (content as escaped text: 4 * 65600).
BUFFER_BYTES = 1 << 20
HOOK_NAMES = ("ingress", "egress")


class _Buffer(threading.local):
    """Each thread's output buffer: a thousand streams do not need a thousand of them."""

    def __init__(self) -> None:
        self.c = ffi.new("uint8_t[]", BUFFER_BYTES)
        self.view = memoryview(ffi.buffer(self.c))
        self.done = ffi.new("uint32_t *")


thread_buffer = _Buffer()


class Interfaces:
    """The numbers that a stream gave to its (interface, hook) pairs.

    Attributes:
        ids: int32 array by `ifindex * 2 + hook`; -1 where the pair has no number yet.
        c: the same for C.
        count: numbers given.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all numbers: a new section begins."""
        self.count = 0
        self._hold(np.full(64, -1, dtype=np.int32))

    def _hold(self, ids: np.ndarray[Any, np.dtype[np.int32]]) -> None:
        self.ids = ids
        self.c = ffi.cast("const int32_t *", ids.ctypes.data)

    def number(self, key: int) -> int:
        """The pair's number, or -1."""
        return int(self.ids[key]) if key < len(self.ids) else -1

    def add(self, key: int) -> int:
        """Gives the pair the next number."""
        if key >= len(self.ids):
            grown = np.full(2 * key + 2, -1, dtype=np.int32)
            grown[: len(self.ids)] = self.ids
            self._hold(grown)
        self.ids[key] = self.count
        self.count += 1
        return self.count - 1


class NativeEncoder(Encoder):
    """An encoder whose records are written by a C function; the format supplies the rest."""

    def __init__(self, info: StreamInfo) -> None:
        self._info = info
        self._liid = ffi.new("char[]", info.liid.encode("ascii"))
        self._interfaces = Interfaces()
        self._open = False
        self._unfit = 0  # records of the chunk that the format cannot carry; `_write` adds to it

    @abstractmethod
    def _begin(self) -> bytes:
        """The opening's bytes."""

    @abstractmethod
    def _declare(self, number: int, name: str, hook: str) -> bytes:
        """What tells a receiver of a new interface."""

    @abstractmethod
    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        """Calls the C function; returns what it returns."""

    def opening(self) -> bytes:
        self._interfaces.reset()
        self._open = True
        return self._begin()

    def encode(self, batch: Batch, selection: Selection) -> Iterator[Encoded]:
        if not self._open:
            raise AssertionError("opening() comes before the first record")
        n = selection.n
        if not n:
            return
        before = int(selection.sequence[n - 1]) - n - selection.lost
        start = 0
        while start < n:
            self._unfit = 0
            used, end = self._fill(batch, selection, start)
            records = end - start - self._unfit
            last = int(selection.sequence[end - 1])
            yield Encoded(
                payload=thread_buffer.view[:used],
                records=records,
                first_sequence=before + 1,
                last_sequence=last,
                lost=last - before - records,
                first_ns=int(batch.recs[selection.order[start]]["utc_ns"]),
                last_ns=int(batch.recs[selection.order[end - 1]]["utc_ns"]),
                unfit=self._unfit,
            )
            before, start = last, end

    def _fill(self, batch: Batch, selection: Selection, start: int) -> tuple[int, int]:
        """Fills the buffer with records from `start`; returns bytes used and the index behind the last record."""
        used, at, n = 0, start, selection.n
        while at < n:
            done = thread_buffer.done
            size = self._write(batch, selection, at, thread_buffer.c + used, BUFFER_BYTES - used, done)
            if size < 0:
                raise encoder_failure(-size)
            used += size
            at += done[0]
            if at == n:
                break
            declaration = self._declare_missing(batch, int(selection.order[at]), BUFFER_BYTES - used)
            if not declaration:
                break
            thread_buffer.view[used : used + len(declaration)] = declaration
            used += len(declaration)
        if at == start:
            raise LictlError("a record is too long for an output buffer.", "Please report this: it cannot happen.")
        return used, at

    def _declare_missing(self, batch: Batch, index: int, room: int) -> bytes:
        """The declaration of the record's interface; b"" where it has one already or the buffer is full."""
        rec = batch.recs[index]
        ifindex, hook = int(rec["ifindex"]), int(rec["hook"])
        if hook > AT_EGRESS or ifindex >= MAX_IFINDEX:
            raise LictlError("a record names an impossible interface.", "Please report this: it cannot happen.")
        key = ifindex * 2 + hook
        if self._interfaces.number(key) >= 0:
            return b""
        name = self._info.interface_name(ifindex)
        declaration = self._declare(self._interfaces.count, name, HOOK_NAMES[hook])
        if len(declaration) > room:
            return b""
        self._interfaces.add(key)
        return declaration


class PduEncoder(NativeEncoder):
    """An encoder of PDUs that stand for themselves: nothing comes before the first one, and none names an interface."""

    def _begin(self) -> bytes:
        return b""

    def _declare(self, number: int, name: str, hook: str) -> bytes:
        return b""

    def gap(self, gap: Gap) -> bytes:
        """b"": the next number tells, where there are numbers."""
        return b""


def encoder_failure(code: int) -> LictlError:
    """The error that a C encoder's negative result stands for."""
    if code == errno.EPERM:
        return RefusedError("a record is not of the kind that the order's mode allows; nothing of it was encoded.")
    return LictlError(f"the encoder failed with {errno.errorcode.get(code, code)}.", "Please report this.")
