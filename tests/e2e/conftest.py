# SPDX-License-Identifier: Apache-2.0
"""A site that runs for a whole module, or one that a test may break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e_rig import Rig

from lictl.lab import services
from lictl.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


def _built(mtu: int) -> Lab:
    """A lab with all services, entered."""
    lab = Lab(mtu=mtu).__enter__()
    services.start_http(lab)
    services.start_dns(lab)
    services.start_iperf(lab)
    return lab


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A site that runs for the whole module, both ports attached; MTU is the module's MTU, if it names one."""
    lab = _built(getattr(request.module, "MTU", 1500))
    rig = Rig(lab, "module")
    try:
        yield rig.up()
        assert rig.stop(rig.daemon) == 0, rig.log()[-2000:]
        assert rig.verdict()["ok"], "the receiver found packets missing"
    finally:
        _end(rig)


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A lab and a site of the test's own: nothing of lictl is started, all is ended."""
    rig = Rig(_built(getattr(request.module, "MTU", 1500)), "fresh")
    try:
        yield rig
    finally:
        _end(rig)


@pytest.fixture(autouse=True)
def _show_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A failed test shows the daemon's words during it."""
    rig = next((request.getfixturevalue(name) for name in ("rig", "fresh") if name in request.fixturenames), None)
    before = len(rig.log()) if rig is not None else 0
    yield
    if rig is not None:
        print(rig.log()[before:])


def _end(rig: Rig) -> None:
    try:
        rig.stop(rig.daemon)
        rig.stop(rig.receiver)
    finally:
        rig.lab.close()
