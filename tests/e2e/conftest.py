# SPDX-License-Identifier: Apache-2.0
"""One lab a module; a site that runs for the whole module, or one that a test breaks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from e2e_rig import Rig

from lictl.lab import services
from lictl.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab with HTTP and DNS; MTU is the module's MTU, if it names one."""
    with Lab(mtu=getattr(request.module, "MTU", 1500)) as lab:
        services.start_http(lab)
        services.start_dns(lab)
        services.start_iperf(lab)
        yield lab


@pytest.fixture(scope="module")
def rig(lab: Lab) -> Iterator[Rig]:
    """A site that runs for the whole module, both ports attached."""
    rig = Rig(lab, "module").up()
    yield rig
    rig.stop(rig.daemon)
    rig.stop(rig.receiver)


@pytest.fixture
def fresh(lab: Lab) -> Iterator[Rig]:
    """A site of the test's own: nothing is started, all is ended."""
    rig = Rig(lab, f"test{next(_numbers)}")
    yield rig
    for process in (rig.daemon, rig.receiver):
        rig.stop(process)
