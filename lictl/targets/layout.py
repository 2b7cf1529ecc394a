# SPDX-License-Identifier: Apache-2.0
"""The kernel's keys, values and limits, as ``kernel/abi.h`` lays them out; a test holds them against it.

Packed in this machine's byte order, as the kernel reads them; addresses are bytes in network order.
"""

from __future__ import annotations

import struct
from typing import Final

MAX_SLOTS: Final = 4096
MAX_TARGETS: Final = 131072
MAX_CLAIMS: Final = 16
MAX_V4_LENS: Final = 32
MAX_V6_LENS: Final = 32
MAX_PORT_LENS: Final = 16

CLAIM_SLOT_BITS: Final = 12
CLAIM_SLOT_MASK: Final = 4095
GENERATION_MAX: Final = 1048575

MODE_HEADERS: Final = 1
MODE_CONTENT: Final = 2

SLOT_ACCESS_ONLY: Final = 1
SLOT_NO_PORTS: Final = 2
SLOT_NO_LENGTH: Final = 4

DIR_UNKNOWN: Final = 0
DIR_FROM: Final = 1
DIR_TO: Final = 2

KIND_V4: Final = 1
KIND_V6: Final = 2
KIND_PORT: Final = 4
KIND_FLOW: Final = 8
KIND_MAC: Final = 16
KIND_VLAN: Final = 32
KIND_PPPOE: Final = 64

TARGET_HAS_PORTS: Final = 1
VLAN_NONE: Final = 65535

MAP_SLOTS: Final = "li_slots"
MAP_V4: Final = "li_v4"
MAP_V6: Final = "li_v6"
MAP_PORT: Final = "li_port"
MAP_FLOW: Final = "li_flow"
MAP_MAC: Final = "li_mac"
MAP_VLAN: Final = "li_vlan"
MAP_PPPOE: Final = "li_pppoe"

KIND_OF_MAP: Final[dict[str, int]] = {
    MAP_V4: KIND_V4,
    MAP_V6: KIND_V6,
    MAP_PORT: KIND_PORT,
    MAP_FLOW: KIND_FLOW,
    MAP_MAC: KIND_MAC,
    MAP_VLAN: KIND_VLAN,
    MAP_PPPOE: KIND_PPPOE,
}
"""Every target map and the bit of ``li_config.kinds`` that makes the kernel look into it."""

KEY_V4: Final = struct.Struct("=4sI")
KEY_V6: Final = struct.Struct("=16sI")
KEY_MAC: Final = struct.Struct("=6s2x")
KEY_VLAN: Final = struct.Struct("=HH")
KEY_PPPOE: Final = struct.Struct("=6sH")
KEY_PORT: Final = struct.Struct("=16sHBx")
KEY_FLOW: Final = struct.Struct("=16s16sHHB3x")
TARGET: Final = struct.Struct("=II16I")
SLOT: Final = struct.Struct("=IBB2xQQ")

KEY_OF_MAP: Final[dict[str, struct.Struct]] = {
    MAP_V4: KEY_V4,
    MAP_V6: KEY_V6,
    MAP_PORT: KEY_PORT,
    MAP_FLOW: KEY_FLOW,
    MAP_MAC: KEY_MAC,
    MAP_VLAN: KEY_VLAN,
    MAP_PPPOE: KEY_PPPOE,
}


def claim_of(slot: int, generation: int) -> int:
    """The 32-bit name of an order in target entries and records."""
    return slot | generation << CLAIM_SLOT_BITS


def pack_target(claims: tuple[int, ...], flags: int) -> bytes:
    """A ``li_target`` (72 bytes); unused claims are zero."""
    return TARGET.pack(len(claims), flags, *claims, *(0,) * (MAX_CLAIMS - len(claims)))


def unpack_target(value: bytes) -> tuple[tuple[int, ...], int]:
    """(claims, flags) of a ``li_target``."""
    count, flags, *claims = TARGET.unpack(value)
    return tuple(claims[:count]), flags


def mapped(address: bytes) -> bytes:
    """Four or sixteen bytes as the sixteen of a port or flow key: IPv4 as ::ffff:a.b.c.d."""
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address
