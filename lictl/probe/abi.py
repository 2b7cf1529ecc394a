# SPDX-License-Identifier: Apache-2.0
"""``kernel/abi.h`` in Python: numpy dtypes and constants, made from the compiled contract at import.

Every dtype has the size, field names and offsets of the C struct of the same name; byte arrays are ``u1`` subarrays.
Numbers are in this machine's byte order, addresses are bytes in network order.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lictl.probe.native import ffi, lib

_INTEGERS: Final = {
    "uint8_t": "u1",
    "uint16_t": "u2",
    "uint32_t": "u4",
    "uint64_t": "u8",
    "int32_t": "i4",
    "int64_t": "i8",
    "int": "i4",
    "unsigned int": "u4",
}


def dtype_of(struct: str) -> np.dtype[np.void]:
    """The numpy dtype of a C struct that holds integers, arrays of them and other such structs.

    Raises:
        TypeError: the struct has a field of another kind, such as a pointer.
    """
    dtype: np.dtype[np.void] = np.dtype(_spec(ffi.typeof(f"struct {struct}")))
    return dtype


def _spec(ctype: Any) -> Any:
    names, formats, offsets = [], [], []
    for name, field in ctype.fields:
        names.append(name)
        formats.append(_format(field.type))
        offsets.append(field.offset)
    return {"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(ctype)}


def _format(ctype: Any) -> Any:
    if ctype.kind == "array":
        return (_format(ctype.item), (ctype.length,))
    if ctype.kind == "struct":
        return _spec(ctype)
    if ctype.kind != "primitive" or ctype.cname not in _INTEGERS:
        raise TypeError(f"{ctype.cname} has no numpy type")
    return _INTEGERS[ctype.cname]


REC: Final = dtype_of("li_rec")
TARGET: Final = dtype_of("li_target")
SLOT: Final = dtype_of("li_slot")
PORT: Final = dtype_of("li_port")
CONFIG: Final = dtype_of("li_config")
SLOT_COUNT: Final = dtype_of("li_slot_count")
TOTALS: Final = dtype_of("li_totals")
KEY_V4: Final = dtype_of("li_key_v4")
KEY_V6: Final = dtype_of("li_key_v6")
KEY_MAC: Final = dtype_of("li_key_mac")
KEY_VLAN: Final = dtype_of("li_key_vlan")
KEY_PPPOE: Final = dtype_of("li_key_pppoe")
KEY_PORT: Final = dtype_of("li_key_port")
KEY_FLOW: Final = dtype_of("li_key_flow")

MAP_CONFIG: Final = "li_config"
MAP_PORTS: Final = "li_ports"
MAP_SLOTS: Final = "li_slots"
MAP_V4: Final = "li_v4"
MAP_V6: Final = "li_v6"
MAP_PORT: Final = "li_port"
MAP_FLOW: Final = "li_flow"
MAP_MAC: Final = "li_mac"
MAP_VLAN: Final = "li_vlan"
MAP_PPPOE: Final = "li_pppoe"
MAP_FILTER: Final = "li_filter"
MAP_SLOT_COUNT: Final = "li_slot_count"
MAP_TOTALS: Final = "li_totals"
MAP_RINGS: Final = "li_rings"
MAP_SLEEP: Final = "li_sleep"

PROG_INGRESS: Final = "li_ingress"
PROG_EGRESS: Final = "li_egress"

KEY_DTYPES: Final[dict[str, np.dtype[np.void]]] = {
    MAP_V4: KEY_V4,
    MAP_V6: KEY_V6,
    MAP_PORT: KEY_PORT,
    MAP_FLOW: KEY_FLOW,
    MAP_MAC: KEY_MAC,
    MAP_VLAN: KEY_VLAN,
    MAP_PPPOE: KEY_PPPOE,
}
"""Every target map with the dtype of its key; the value is TARGET."""

ABI_VERSION: Final[int] = lib.LI_ABI_VERSION
MAX_SLOTS: Final[int] = lib.LI_MAX_SLOTS
MAX_TARGETS: Final[int] = lib.LI_MAX_TARGETS
MAX_CLAIMS: Final[int] = lib.LI_MAX_CLAIMS
MAX_MATCHES: Final[int] = lib.LI_MAX_MATCHES
MAX_IFINDEX: Final[int] = lib.LI_MAX_IFINDEX
MAX_V4_LENS: Final[int] = lib.LI_MAX_V4_LENS
MAX_V6_LENS: Final[int] = lib.LI_MAX_V6_LENS
MAX_PORT_LENS: Final[int] = lib.LI_MAX_PORT_LENS
MAX_CPUS: Final[int] = lib.LI_MAX_CPUS
MAX_FRAME: Final[int] = lib.LI_MAX_FRAME
CLAIM_SLOT_BITS: Final[int] = lib.LI_CLAIM_SLOT_BITS
CLAIM_SLOT_MASK: Final[int] = lib.LI_CLAIM_SLOT_MASK
GENERATION_MAX: Final[int] = lib.LI_GENERATION_MAX

MODE_OFF: Final[int] = lib.LI_MODE_OFF
MODE_HEADERS: Final[int] = lib.LI_MODE_HEADERS
MODE_CONTENT: Final[int] = lib.LI_MODE_CONTENT
SLOT_ACCESS_ONLY: Final[int] = lib.LI_SLOT_ACCESS_ONLY
SLOT_NO_PORTS: Final[int] = lib.LI_SLOT_NO_PORTS
SLOT_NO_LENGTH: Final[int] = lib.LI_SLOT_NO_LENGTH
SIDE_SRC: Final[int] = lib.LI_SIDE_SRC
SIDE_DST: Final[int] = lib.LI_SIDE_DST
DIR_UNKNOWN: Final[int] = lib.LI_DIR_UNKNOWN
DIR_FROM: Final[int] = lib.LI_DIR_FROM
DIR_TO: Final[int] = lib.LI_DIR_TO
DIR_BOTH: Final[int] = lib.LI_DIR_BOTH
HOOK_ACTIVE: Final[int] = lib.LI_HOOK_ACTIVE
HOOK_DROP: Final[int] = lib.LI_HOOK_DROP
ROLE_NONE: Final[int] = lib.LI_ROLE_NONE
ROLE_ACCESS: Final[int] = lib.LI_ROLE_ACCESS
ROLE_CORE: Final[int] = lib.LI_ROLE_CORE
ROLE_MIRROR: Final[int] = lib.LI_ROLE_MIRROR
KIND_V4: Final[int] = lib.LI_KIND_V4
KIND_V6: Final[int] = lib.LI_KIND_V6
KIND_PORT: Final[int] = lib.LI_KIND_PORT
KIND_FLOW: Final[int] = lib.LI_KIND_FLOW
KIND_MAC: Final[int] = lib.LI_KIND_MAC
KIND_VLAN: Final[int] = lib.LI_KIND_VLAN
KIND_PPPOE: Final[int] = lib.LI_KIND_PPPOE
TARGET_HAS_PORTS: Final[int] = lib.LI_TARGET_HAS_PORTS
VLAN_NONE: Final[int] = lib.LI_VLAN_NONE
REC_HEADER: Final[int] = lib.LI_REC_HEADER
REC_PACKET: Final[int] = lib.LI_REC_PACKET
AT_INGRESS: Final[int] = lib.LI_AT_INGRESS
AT_EGRESS: Final[int] = lib.LI_AT_EGRESS
CLOCK_KERNEL: Final[int] = lib.LI_CLOCK_KERNEL
CLOCK_HARDWARE: Final[int] = lib.LI_CLOCK_HARDWARE
CLOCK_FILE: Final[int] = lib.LI_CLOCK_FILE
HAS_IP: Final[int] = lib.LI_HAS_IP
HAS_PORTS: Final[int] = lib.LI_HAS_PORTS
HAS_TCP_FLAGS: Final[int] = lib.LI_HAS_TCP_FLAGS
HAS_ICMP: Final[int] = lib.LI_HAS_ICMP
HAS_LENGTH: Final[int] = lib.LI_HAS_LENGTH
FRAG_NONE: Final[int] = lib.LI_FRAG_NONE
FRAG_FIRST: Final[int] = lib.LI_FRAG_FIRST
FRAG_LATER: Final[int] = lib.LI_FRAG_LATER

PARSE_NAMES: Final[tuple[str, ...]] = tuple(
    name.removeprefix("LI_PARSE_").lower()
    for _, name in sorted(
        (getattr(lib, name), name) for name in dir(lib) if name.startswith("LI_PARSE_") and name != "LI_PARSE_CLASSES"
    )
)
"""Name of each LI_PARSE_* class by its number."""
L4_NAMES: Final[tuple[str, ...]] = tuple(
    name.removeprefix("LI_L4_").lower()
    for _, name in sorted(
        (getattr(lib, name), name) for name in dir(lib) if name.startswith("LI_L4_") and name != "LI_L4_CLASSES"
    )
)
"""Name of each LI_L4_* class by its number."""


def claim_of(slot: int, generation: int) -> int:
    """The 32-bit name of an order in target entries and records."""
    return slot | generation << CLAIM_SLOT_BITS


def slot_of(claim: int) -> int:
    """The slot that a claim names."""
    return claim & CLAIM_SLOT_MASK


def generation_of(claim: int) -> int:
    """The generation that a claim names."""
    return claim >> CLAIM_SLOT_BITS
