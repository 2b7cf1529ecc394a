# SPDX-License-Identifier: Apache-2.0
"""How large a frame the kernel may build of several packets before it reaches a tc hook.

Beyond 64 KiB ("BIG TCP") such a frame has no length in its IP header: zero in IPv4's total length, zero in IPv6's
payload length (or a jumbo option, RFC 2675). The parser proves nothing behind such a header, so an order would miss it.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

LARGEST: Final = 65_536
# linux/if_link.h; the IPv4 ones came with Linux 6.3.
_ATTRIBUTES: Final = {41: "gso_max_size", 58: "gro_max_size", 63: "gso_ipv4_max_size", 64: "gro_ipv4_max_size"}
_RTM_NEWLINK, _RTM_GETLINK, _NLM_F_REQUEST = 16, 18, 1
_HEADER = struct.Struct("=IHHII")
_INFO = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")


def limits(name: str) -> dict[str, int]:
    """The limits of an interface of this thread's network namespace, by their name for `ip link set`, bytes.

    Only those that this kernel has; empty where it does not answer.
    """
    try:
        request = _INFO.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(name), 0, 0)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(5)
            asked.send(_HEADER.pack(_HEADER.size + len(request), _RTM_GETLINK, _NLM_F_REQUEST, 1, 0) + request)
            return read(asked.recv(1 << 16))
    except OSError:
        return {}


def too_large(name: str) -> dict[str, int]:
    """Those limits that allow a frame without a length."""
    return {limit: value for limit, value in limits(name).items() if value > LARGEST}


def read(message: bytes) -> dict[str, int]:
    """The limits in an RTM_NEWLINK message (rtnetlink(7)); empty for anything else, never an error."""
    found: dict[str, int] = {}
    if len(message) < _HEADER.size or _HEADER.unpack_from(message)[1] != _RTM_NEWLINK:
        return found
    end = min(_HEADER.unpack_from(message)[0], len(message))
    at = _HEADER.size + _INFO.size
    while at + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        if size < _ATTRIBUTE.size or at + size > end:
            break
        if kind in _ATTRIBUTES and size == _ATTRIBUTE.size + 4:
            found[_ATTRIBUTES[kind]] = struct.unpack_from("=I", message, at + 4)[0]
        at += size + -size % 4
    return found
