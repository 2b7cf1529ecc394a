# SPDX-License-Identifier: Apache-2.0
"""Targets that need ports: ranges of a shared address, and flows."""

from __future__ import annotations

from typing import Any

from fixtures_common import D4, DPORT, MARK, SPORT, U4, U6, saw4, saw6
from fixtures_named import hit, miss, some
from kernel_case import (
    O4,
    P4,
    P6,
    T4,
    T6,
    TO,
    Seen,
    content,
    headers,
)

from lictl.lab.frames import (
    ACK,
    PSH,
    eth,
    icmp,
    ipv4,
    ipv6,
    sctp,
    tcp,
    udp,
)

FLAGS = PSH | ACK


CGNAT = f"ip:{T4} ports:10240-11263"


def _from(port: int, **more: Any) -> tuple[bytes, Seen]:
    return eth(ipv4(T4, P4, udp(port, DPORT, MARK))), saw4(ports=(port, DPORT), **more)


_TCP4 = ipv4(T4, P4, tcp(SPORT, 443, MARK))
_FLOW = f"flow:tcp {T4}:{SPORT}-{P4}:443"
_SEEN_TCP = saw4(len(_TCP4), proto=6, ports=(SPORT, 443), tcp_flags=FLAGS)
_TCP6 = ipv6(T6, P6, tcp(SPORT, 443, MARK))
MAPPED_T, MAPPED_P = f"::ffff:{T4}", f"::ffff:{P4}"

PORTS = [
    hit("ports: the first of a range", CGNAT, *_from(10240)),
    hit("ports: the last of a range", CGNAT, *_from(11263)),
    miss("ports: one below", CGNAT, _from(10239)[0]),
    miss("ports: one above", CGNAT, _from(11264)[0]),
    hit("ports: a range of no round size", f"ip:{T4} ports:1001-1999", *_from(1999)),
    miss("ports: one above a range of no round size", f"ip:{T4} ports:1001-1999", _from(2000)[0]),
    hit("ports: one port", f"ip:{T4} ports:7", *_from(7)),
    hit("ports: the highest", f"ip:{T4} ports:65535", *_from(65535)),
    hit("ports: all", f"ip:{T4} ports:1-65535", *_from(32768)),
    miss("ports: the other end's port does not count", f"ip:{T4} ports:{DPORT}", eth(U4)),
    hit("ports: as destination", f"ip:{P4} ports:{DPORT}", eth(U4), saw4(dir=TO)),
    miss("ports: of another address", f"ip:{O4} ports:1-65535", eth(U4)),
    hit("ports: over ipv6", f"ip:{T6} ports:{SPORT}", eth(U6), saw6()),
    hit(
        "ports: tcp", CGNAT, eth(ipv4(T4, P4, tcp(10300, 443))), saw4(40, proto=6, ports=(10300, 443), tcp_flags=FLAGS)
    ),
    hit("ports: sctp", CGNAT, eth(ipv4(T4, P4, sctp(10300, 9))), saw4(32, proto=132, ports=(10300, 9))),
    miss("ports: icmp proves none", CGNAT, eth(ipv4(T4, P4, icmp(8, 0, MARK)))),
    miss(
        "ports: a later fragment proves none",
        CGNAT,
        eth(ipv4(T4, P4, udp(10300, 1, MARK), frag_offset=3)),
        l4="later_fragment",
        totals={"later_fragment_ports": 1},
    ),
    miss(
        "ports: a lying udp length proves none",
        CGNAT,
        eth(ipv4(T4, P4, udp(10300, 1, MARK, length=4))),
        l4="bad_udp_length",
    ),
    miss("ports: of esp there are none", CGNAT, eth(ipv4(T4, P4, b"\x28\0\0\1" + MARK, proto=50))),
    some(
        "ports: the address and a port of it under two orders",
        _from(10300)[0],
        _from(10300)[1],
        (1, 2),
        (headers(1, CGNAT), headers(2, f"ip:{T4}")),
    ),
    some(
        "ports: the address without the port",
        _from(9)[0],
        _from(9)[1],
        (2,),
        (headers(1, CGNAT), headers(2, f"ip:{T4}")),
    ),
    some(
        "ports: a prefix that covers the shared address",
        _from(10300)[0],
        _from(10300)[1],
        (1, 2),
        (headers(1, CGNAT), content(2, "ip:203.0.113.0/24")),
    ),
    some(
        "ports: a range in a range",
        _from(10300)[0],
        _from(10300)[1],
        (1, 2, 3),
        (headers(1, CGNAT), content(2, f"ip:{T4} ports:10300"), headers(3, f"ip:{T4} ports:1024-20000")),
    ),
    hit("flow: from its local end", _FLOW, eth(_TCP4), _SEEN_TCP),
    hit(
        "flow: to its local end",
        _FLOW,
        eth(ipv4(P4, T4, tcp(443, SPORT))),
        saw4(40, src=P4, dst=T4, proto=6, ports=(443, SPORT), tcp_flags=FLAGS, dir=TO),
    ),
    miss("flow: another local port", _FLOW, eth(ipv4(T4, P4, tcp(SPORT + 1, 443)))),
    miss("flow: another remote port", _FLOW, eth(ipv4(T4, P4, tcp(SPORT, 444)))),
    miss("flow: another remote address", _FLOW, eth(ipv4(T4, O4, tcp(SPORT, 443)))),
    miss("flow: another transport", _FLOW, eth(ipv4(T4, P4, udp(SPORT, 443)))),
    miss("flow: the ports exchanged", _FLOW, eth(ipv4(T4, P4, tcp(443, SPORT)))),
    miss(
        "flow: a later fragment",
        _FLOW,
        eth(ipv4(T4, P4, tcp(SPORT, 443), frag_offset=1)),
        l4="later_fragment",
        totals={"later_fragment_ports": 2},
    ),
    hit(
        "flow: over ipv6",
        f"flow:tcp [{T6}]:{SPORT}-[{P6}]:443",
        eth(_TCP6),
        saw6(len(_TCP6), proto=6, ports=(SPORT, 443), tcp_flags=FLAGS),
    ),
    miss(
        "flow: ipv6 with mapped addresses is not the ipv4 flow",
        _FLOW,
        eth(ipv6(MAPPED_T, MAPPED_P, tcp(SPORT, 443, MARK))),
    ),
    miss(
        "ports: ipv6 with a mapped address is not the ipv4 address",
        f"ip:{T4} ports:{SPORT}; ip:{T6}",
        eth(ipv6(MAPPED_T, MAPPED_P, D4)),
    ),
    miss("target: ipv6 with a mapped address is not the ipv4 address", f"ip:{T4}", eth(ipv6(MAPPED_T, MAPPED_P, D4))),
    miss("target: an ipv4 in the last bytes of an ipv6", f"ip:{T4}", eth(ipv6(f"64:ff9b::{T4}", P6, D4))),
    miss("target: an ipv6 whose first bytes are the ipv4", f"ip:{T4}", eth(ipv6("cb00:7107::1", P6, D4))),
]


CASES = PORTS
