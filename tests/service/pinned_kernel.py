# SPDX-License-Identifier: Apache-2.0
"""The kernel's tables, read and written through their pins: past everything that a daemon knows or says."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.probe import abi
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.native import ffi, lib
from lictl.probe.tables import pack_port

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK: Final = 1
"""Index of the interface that packets seem to come from."""
_SYS_BPF: Final = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)
_OBJ_GET: Final = 7
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Armed:
    """A slot that is switched on."""

    claim: int
    starts_ns: int
    ends_ns: int


@dataclass(frozen=True)
class Kernel:
    """The tables at one moment: slots that are on, and every target entry (map, key) with its claims."""

    slots: dict[int, Armed]
    entries: dict[tuple[str, bytes], tuple[int, ...]]

    @property
    def claims(self) -> set[int]:
        """Of the slots that are on."""
        return {armed.claim for armed in self.slots.values()}


def v4(address: str) -> tuple[str, bytes]:
    """The entry of one IPv4 address."""
    return abi.MAP_V4, socket.inet_aton(address) + struct.pack("=I", 32)


class _Get(ctypes.Structure):
    _fields_ = (("path", ctypes.c_uint64), ("rest", ctypes.c_uint8 * 120))


@contextlib.contextmanager
def pinned(path: Path) -> Any:
    """A descriptor of what is pinned (bpf(2), BPF_OBJ_GET)."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    attr = _Get(ctypes.addressof(name))
    descriptor = _libc.syscall(ctypes.c_long(_SYS_BPF), _OBJ_GET, ctypes.byref(attr), ctypes.sizeof(attr))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _dump(folder: Path, name: str, key: np.dtype[Any], value: np.dtype[Any], room: int) -> tuple[Any, Any]:
    keys, values = np.zeros(room, key), np.zeros(room, value)
    with pinned(folder / "maps" / name) as descriptor:
        count = lib.ln_map_dump(descriptor, _at(keys), key.itemsize, _at(values), value.itemsize, room)
    assert count >= 0, (name, count)
    return keys[:count], values[:count]


def _at(array: Any) -> Any:
    return ffi.cast("void *", array.ctypes.data)


def kernel(folder: Path) -> Kernel:
    """What is pinned in a folder; empty where nothing is."""
    if not (folder / "maps" / abi.MAP_SLOTS).exists():
        return Kernel({}, {})
    numbers, found = _dump(folder, abi.MAP_SLOTS, np.dtype(np.uint32), abi.SLOT, abi.MAX_SLOTS)
    slots = {
        int(numbers[at]): Armed(
            abi.claim_of(int(numbers[at]), int(found[at]["generation"])),
            int(found[at]["not_before"]),
            int(found[at]["not_after"]),
        )
        for at in np.flatnonzero((found["generation"] != 0) & (found["mode"] != abi.MODE_OFF))
    }
    held: dict[tuple[str, bytes], tuple[int, ...]] = {}
    for name, dtype in abi.KEY_DTYPES.items():
        keys, values = _dump(folder, name, dtype, abi.TARGET, 4096)
        for key, value in zip(keys, values, strict=True):
            held[name, key.tobytes()] = tuple(int(claim) for claim in value["claims"][: int(value["n_claims"])])
    return Kernel(slots, held)


def put_entry(folder: Path, address: str, claim: int) -> None:
    """Writes a target entry from outside, as an intruder would."""
    value = np.zeros(1, abi.TARGET)
    value["n_claims"] = 1
    value["claims"][0][0] = claim
    key, error = np.frombuffer(v4(address)[1], np.uint8).copy(), ffi.new("int *")
    with pinned(folder / "maps" / abi.MAP_V4) as descriptor:
        lib.ln_map_update(descriptor, _at(key), 8, _at(value), value.itemsize, 1, error)
    assert error[0] == 0, error[0]


def frame(source: str, destination: str) -> bytes:
    """Ethernet, IPv4 and UDP."""
    payload = bytes(32)
    udp = struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + ip + udp


def take(folder: Path, source: str, count: int = 1) -> None:
    """Sends packets of an address through the pinned program, as if a mirror port had received them."""
    (port,) = port_plan([PortRequest(LOOPBACK, "mirror", False, "lo")], False)
    key, value, error = (
        np.array([LOOPBACK], np.uint32),
        np.frombuffer(pack_port(port), np.uint8).copy(),
        ffi.new("int *"),
    )
    with pinned(folder / "maps" / abi.MAP_PORTS) as descriptor:
        lib.ln_map_update(descriptor, _at(key), 4, _at(value), value.nbytes, 1, error)
    assert error[0] == 0, error[0]
    data = frame(source, "198.51.100.1")
    with pinned(folder / "progs" / abi.PROG_INGRESS) as descriptor:
        verdict = lib.ln_test_run_fd(descriptor, LOOPBACK, ffi.from_buffer(data), len(data), count, 0, 0, ffi.NULL)
    assert verdict >= 0, verdict


def kernel_now_ns(folder: Path) -> int:
    """UTC as the capture program has it now."""
    value, key = np.zeros(1, abi.CONFIG), np.zeros(1, np.uint32)
    with pinned(folder / "maps" / abi.MAP_CONFIG) as descriptor:
        assert lib.ln_map_lookup(descriptor, _at(key), _at(value)) >= 0
    return (time.monotonic_ns() + int(value[0]["utc_offset_ns"])) % 2**64


def matched(folder: Path, slot: int) -> int:
    """How many packets a slot has matched since its counters were zeroed."""
    values = np.zeros(lib.ln_possible_cpus(), abi.SLOT_COUNT)
    key = np.array([slot], np.uint32)
    with pinned(folder / "maps" / abi.MAP_SLOT_COUNT) as descriptor:
        assert lib.ln_map_lookup(descriptor, _at(key), _at(values)) >= 0
    return int(values["matched"].sum())
