# SPDX-License-Identifier: Apache-2.0
"""One loaded program for the whole folder: loading costs seconds, swapping its tables milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kernel_builds import RING_BYTES, KernelBuild, NativeBuild

from lictl.probe.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def kernel() -> Iterator[KernelBuild]:
    """The kernel's build, not attached anywhere and pinned nowhere."""
    with Probe.open(None, RING_BYTES) as probe:
        yield KernelBuild(probe)


@pytest.fixture
def native() -> NativeBuild:
    """The native build."""
    return NativeBuild()
