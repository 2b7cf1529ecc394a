# SPDX-License-Identifier: Apache-2.0
"""Asking the kernel which BPF programs there are, which maps they use and where they are attached (bpf(2))."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lictl.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYS_BPF: Final = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)
_PROG_GET_NEXT_ID: Final = 11
_PROG_GET_FD_BY_ID: Final = 13
_OBJ_GET_INFO_BY_FD: Final = 15
_PROG_QUERY: Final = 16
_TCX: Final = (46, 47)  # BPF_TCX_INGRESS, BPF_TCX_EGRESS (Linux 6.6)
_MOST: Final = 64
_CLSACT: Final = (0xFFFFFFF2, 0xFFFFFFF3)  # TC_H_MIN_INGRESS, TC_H_MIN_EGRESS below TC_H_CLSACT
_NLA: Final = struct.Struct("HH")  # struct nlattr: length, type
_NLA_TYPE: Final = 0x3FFF
_TCA_BPF_ID: Final = 11
_libc = ctypes.CDLL(None, use_errno=True)


class _Info(ctypes.Structure):
    # struct bpf_prog_info of linux/bpf.h, as far as `name`
    _fields_ = (
        ("type", ctypes.c_uint32), ("id", ctypes.c_uint32), ("tag", ctypes.c_uint8 * 8),
        ("jited_len", ctypes.c_uint32), ("xlated_len", ctypes.c_uint32),
        ("jited", ctypes.c_uint64), ("xlated", ctypes.c_uint64), ("load_time", ctypes.c_uint64),
        ("uid", ctypes.c_uint32), ("nr_map_ids", ctypes.c_uint32), ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
    )  # fmt: skip


class _InfoAttr(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_uint32), ("length", ctypes.c_uint32), ("info", ctypes.c_uint64))


class _QueryAttr(ctypes.Structure):
    _fields_ = (
        ("target", ctypes.c_uint32), ("type", ctypes.c_uint32), ("flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32), ("ids", ctypes.c_uint64), ("count", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * 64),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """One loaded program.

    Attributes:
        id: the kernel's number.
        tag: 16 hex digits: the kernel's digest of its instructions.
        name: at most 15 characters.
        uid: who loaded it.
        maps: numbers of the maps it uses.
    """

    id: int
    tag: str
    name: str
    uid: int
    maps: frozenset[int]


def program_of(descriptor: int) -> Program:
    """The program behind a descriptor.

    Raises:
        OSError: the kernel refused.
    """
    ids, info = (ctypes.c_uint32 * _MOST)(), _Info()
    info.nr_map_ids, info.map_ids = _MOST, ctypes.addressof(ids)
    attr = _InfoAttr(descriptor, ctypes.sizeof(info), ctypes.addressof(info))
    _bpf(_OBJ_GET_INFO_BY_FD, attr)
    maps = frozenset(int(number) for number in ids[: min(info.nr_map_ids, _MOST)])
    name = bytes(info.name).decode(errors="replace")
    return Program(int(info.id), bytes(info.tag).hex(), name, int(info.uid), maps)


def program_by_id(number: int) -> Program | None:
    """A program by its number; None where it has gone meanwhile; raises OSError."""
    attr = (ctypes.c_uint32 * 3)(number)
    try:
        descriptor = _bpf(_PROG_GET_FD_BY_ID, attr)
    except FileNotFoundError:
        return None
    try:
        return program_of(descriptor)
    finally:
        os.close(descriptor)


def programs() -> Iterator[Program]:
    """Every loaded program; raises OSError."""
    attr = (ctypes.c_uint32 * 3)(0)
    while True:
        try:
            _bpf(_PROG_GET_NEXT_ID, attr)
        except FileNotFoundError:
            return
        number = int(attr[1])
        found = program_by_id(number)
        if found is not None:
            yield found
        attr = (ctypes.c_uint32 * 3)(number)


def map_id(descriptor: int) -> int:
    """The kernel's number of a map; raises OSError."""
    info = (ctypes.c_uint32 * 2)()  # struct bpf_map_info: type, id
    _bpf(_OBJ_GET_INFO_BY_FD, _InfoAttr(descriptor, ctypes.sizeof(info), ctypes.addressof(info)))
    return int(info[1])


def attached(ifindex: int) -> set[int]:
    """Numbers of the programs at an interface of this network namespace: XDP in every mode, tc and tcx.

    Raises:
        MachineError: the kernel does not tell.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    found: set[int] = set()
    try:
        with IPRoute() as route:
            for link in route.get_links(ifindex):
                found |= set(xdp_ids(link))
            for parent in _CLSACT:
                for rule in route.get_filters(index=ifindex, parent=parent):
                    found |= set(tc_ids(rule))
    except NetlinkError as error:
        raise MachineError(f"the programs of interface {ifindex} cannot be told: {error}.") from None
    return (found | set(_tcx(ifindex))) - {0}


def xdp_ids(link: Any) -> Iterator[int]:
    """Numbers of the XDP programs in a link's message (RTM_NEWLINK)."""
    for name, nested in link["attrs"]:
        if name == "IFLA_XDP":
            yield from (int(value) for key, value in nested["attrs"] if key.endswith("PROG_ID"))


def tc_ids(rule: Any) -> Iterator[int]:
    """Numbers of the programs in a filter's message (RTM_NEWTFILTER); pyroute2 does not decode TCA_BPF_ID."""
    options = rule.get_attr("TCA_OPTIONS")
    if rule.get_attr("TCA_KIND") != "bpf" or options is None:
        return
    raw = bytes(options.data[options.offset + _NLA.size : options.offset + options.length])
    at = 0
    while at + _NLA.size <= len(raw):
        length, kind = _NLA.unpack_from(raw, at)
        if length < _NLA.size:
            return
        if kind & _NLA_TYPE == _TCA_BPF_ID:
            yield int.from_bytes(raw[at + _NLA.size : at + length], sys.byteorder)
        at += (length + 3) & ~3


def _tcx(ifindex: int) -> Iterator[int]:
    for where in _TCX:
        ids = (ctypes.c_uint32 * _MOST)()
        attr = _QueryAttr(target=ifindex, type=where, ids=ctypes.addressof(ids), count=_MOST)
        try:
            _bpf(_PROG_QUERY, attr)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENODEV):
                return  # a kernel without tcx, or the interface has gone
            raise
        yield from (int(number) for number in ids[: attr.count])


def _bpf(command: int, attr: Any) -> int:
    result = int(_libc.syscall(_SYS_BPF, command, ctypes.byref(attr), ctypes.sizeof(attr)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
