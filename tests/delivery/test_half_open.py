# SPDX-License-Identifier: Apache-2.0
"""Formats without keep-alives on TCP: an agency that is gone without a word, or hangs, is noticed in bounded time."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from delivery_kit import append, open_sealed, record, sealed_stream
from link_kit import QUICK, Loop, RawAgency

from lictl.delivery.config import Transport
from lictl.lab import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEAR, FAR = "192.0.2.1", "192.0.2.2"
PATIENT = replace(QUICK, ping_s=1.0, dead_s=1.0, connect_s=0.5)
"""In service it is 10 s until TCP asks an idle agency, and 30 s until a silent one is given up."""


@pytest.fixture
def spaces(netns_prefix: str) -> Iterator[tuple[str, str]]:
    """Two namespaces with a cable between them: where the sender is, and where the agency is."""
    near, far = (f"{netns_prefix}{side}{os.urandom(2).hex()}" for side in "nf")
    try:
        for space in (near, far):
            namespace.create(space)
        ip(near, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far)
        for space, address in ((near, NEAR), (far, FAR)):
            ip(space, "address", "add", f"{address}/24", "dev", "wire")
            ip(space, "link", "set", "wire", "up")
        yield near, far
    finally:
        namespace.remove([near, far])


def ip(space: str, *arguments: str) -> None:
    """The command, in a namespace."""
    subprocess.run(namespace.command(space, ["ip", *arguments]), check=True, timeout=60)


@pytest.mark.net
def test_an_agency_that_vanishes(root: Path, spaces: tuple[str, str]) -> None:
    """Neither FIN nor RST comes, as from a machine behind a switch that lost its power: idle, TCP asks; with octets on
    their way it gives up on them. When it is back everything that does not count as delivered comes, in order."""
    near, far = spaces
    idle, busy = open_sealed(root / "W-1"), open_sealed(root / "W-2")
    agencies = [namespace.inside(far, lambda: RawAgency(host=FAR)) for _ in "ab"]

    def run() -> float:
        loops = [Loop(root, agency.port, Transport("tcp"), PATIENT, FAR) for agency in agencies]
        links = [loop.add(sealed_stream(name)) for loop, name in zip(loops, ("W-1", "W-2"), strict=True)]

        def both(count: int) -> None:
            for loop, agency, spool in zip(loops, agencies, (idle, busy), strict=True):
                loop.until(lambda a=agency, s=spool: (a.take(), s.acknowledged >= count)[1])

        for spool in (idle, busy):
            append(spool, 10)
        both(1)
        ip(far, "address", "del", f"{FAR}/24", "dev", "wire")
        append(busy, 10)
        began = time.monotonic()
        for loop, link in zip(loops, links, strict=True):
            loop.until(lambda known=link: known.state().attempts > 0)
        took = time.monotonic() - began
        ip(far, "address", "add", f"{FAR}/24", "dev", "wire")
        append(idle, 10)
        for agency in agencies:
            agency.hang_up()
        both(2)
        for loop in loops:
            loop.close()
        return took

    took = namespace.inside(near, run)
    print(f"both noticed after {took:.1f} s")
    assert took < 8
    first, second = (b"".join(map(record, range(begin, begin + 10))) for begin in (1, 11))
    for agency in agencies:
        assert [bytes(heard) for heard in agency.heard if heard] == [first, second]
        agency.close()
    for spool in (idle, busy):
        spool.close()


def test_an_agency_that_hangs_with_a_closed_window(root: Path) -> None:
    """It answers TCP and reads nothing: more than TCP's buffers hold does not wait for ever."""
    spool = open_sealed(root / "W-1")
    for _ in range(6):
        append(spool, 4096)
    with RawAgency(receive_buffer=4096) as agency:
        loop = Loop(root, agency.port, Transport("tcp"), PATIENT)
        link = loop.add(sealed_stream())
        began = time.monotonic()
        loop.until(lambda: (agency.accept(), link.state().attempts > 0)[1])
        print(f"noticed after {time.monotonic() - began:.1f} s: {link.state().error}")
        assert "timed out" in link.state().error
        agency.hang_up()
        loop.until(lambda: (agency.take(), spool.acknowledged == 6)[1])
        assert bytes(agency.heard[-1]) == b"".join(map(record, range(1, 6 * 4096 + 1)))
        loop.close()
    spool.close()
