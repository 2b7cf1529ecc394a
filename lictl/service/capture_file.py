# SPDX-License-Identifier: Apache-2.0
"""A capture file as a source of records: the kernel's matching (kernel/match.h), compiled for user space."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from lictl.errors import UsageError
from lictl.inputs import unreadable
from lictl.probe import abi
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.native import check, error_buffer, ffi, lib
from lictl.probe.tables import pack_port
from lictl.service.accounting import Kernel

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.probe.batch import Batch
    from lictl.targets.orders import Tables

IFINDEX = 1
"""The file stands for one mirror port with this number."""


class Matcher:
    """The tables of the capture program in this process."""

    def __init__(self, tables: Tables) -> None:
        self.c: Any = ffi.gc(lib.ln_matcher_new(), lib.ln_matcher_free)
        if self.c == ffi.NULL:
            raise MemoryError
        config = np.zeros(1, abi.CONFIG)
        config["abi_version"], config["kinds"] = abi.ABI_VERSION, tables.kinds
        for name in ("v4_lens", "v6_lens", "port_lens"):
            lengths = getattr(tables, name)
            config[f"n_{name}"] = len(lengths)
            config[name][0, : len(lengths)] = lengths
        port = port_plan([PortRequest(IFINDEX, "mirror")])[0]
        self._load(abi.MAP_CONFIG, {_number(0): config.tobytes()})
        self._load(abi.MAP_PORTS, {_number(IFINDEX): pack_port(port)})
        self._load(abi.MAP_SLOTS, {_number(slot): value for slot, value in tables.slots.items()})
        for name, entries in tables.maps.items():
            self._load(name, entries)

    def _load(self, name: str, entries: dict[bytes, bytes]) -> None:
        if not entries:
            return
        keys, values = b"".join(entries), b"".join(entries.values())
        n = len(entries)
        result = lib.ln_matcher_load(self.c, name.encode(), keys, len(keys) // n, values, len(values) // n, n)
        check(result, None, f"loading {name} for the replay")

    def counts(self) -> tuple[int, list[Kernel]]:
        """Packets read, and each slot's counters."""
        totals, slots = ffi.new("struct li_totals *"), ffi.new("struct li_slot_count[]", abi.MAX_SLOTS)
        lib.ln_matcher_counts(self.c, totals, slots)
        names = Kernel.__dataclass_fields__
        return int(totals.packets), [Kernel(**{name: int(getattr(slot, name)) for name in names}) for slot in slots]


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


class CaptureFile:
    """An open pcap or pcapng file.

    Raises:
        UnavailableError: it cannot be read.
        UsageError: it is no capture file of Ethernet or raw IP.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise unreadable(path, error, "a capture file") from None
        out, text = ffi.new("struct ln_file **"), error_buffer()
        result = lib.ln_file_open(os.fsencode(path), out, text, len(text))
        if result < 0:
            raise self._damaged(result, text)
        self._c = ffi.gc(out[0], lib.ln_file_close)

    def read(self, matcher: Matcher, batch: Batch) -> int:
        """Fills the batch with the next matched packets; 0 at the end.

        Raises:
            UsageError: the file is damaged; says where.
        """
        text = error_buffer()
        result = lib.ln_file_batch(self._c, matcher.c, IFINDEX, abi.AT_INGRESS, batch.c, text, len(text))
        if result < 0:
            raise self._damaged(result, text)
        return int(result)

    def _damaged(self, result: int, text: Any) -> UsageError:
        said = ffi.string(text).decode(errors="replace").strip() or os.strerror(-result)
        if result == -errno.ENOMEM:
            raise MemoryError
        return UsageError(f"{self._path} cannot be replayed: {said}.", "Give a whole pcap or pcapng file.")
