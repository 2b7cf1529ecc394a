# SPDX-License-Identifier: Apache-2.0
"""Packets that many fixtures are built from."""

from __future__ import annotations

from typing import Any

from kernel_case import P4, P6, T4, T6, Seen

from lictl.lab.frames import ipv4, ipv6, udp

MARK = b"TAINTED-PAYLOAD-5c2f1e"
"""What must never be found in anything that a headers order leaves."""

SPORT, DPORT = 40001, 53

D4 = udp(SPORT, DPORT, MARK)
"""A UDP datagram."""
U4 = ipv4(T4, P4, D4)
U6 = ipv6(T6, P6, D4)
"""The target's packet to its peer."""


def saw4(length: int = len(U4), *, off: int = 14, **more: Any) -> Seen:
    """The record of `U4`, or of another packet of the target over IPv4."""
    return Seen(**{"src": T4, "dst": P4, "proto": 17, "length": length, "ports": (SPORT, DPORT), "off": off} | more)


def saw6(length: int = len(U6), *, off: int = 14, **more: Any) -> Seen:
    """The record of `U6`, or of another packet of the target over IPv6."""
    return Seen(**{"src": T6, "dst": P6, "proto": 17, "length": length, "ports": (SPORT, DPORT), "off": off} | more)
