# SPDX-License-Identifier: Apache-2.0
"""A loaded program, a bpffs of one's own, and a network namespace with a pair of interfaces."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lictl.lab import namespace
from lictl.probe.probe import Probe
from lictl.service import bpffs as bpffs_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

RING_BYTES = 1 << 20
_MNT_DETACH = 2


@dataclass(frozen=True, slots=True)
class Wire:
    """Two interfaces that are one wire, in a namespace of their own."""

    space: str
    a: int
    b: int

    def inside(self, action: Callable[[], T]) -> T:
        """Runs `action` in the namespace."""
        return namespace.inside(self.space, action)

    def run(self, *argv: str) -> str:
        """Runs a command in the namespace and returns what it prints."""
        done = subprocess.run(
            namespace.command(self.space, argv), check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout


@pytest.fixture(scope="module")
def loaded() -> Iterator[Probe]:
    """A probe that one file's tests share; nothing is pinned."""
    with Probe.open(None, RING_BYTES) as probe:
        yield probe


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on a bpffs of its own; unmounting it ends whatever is still pinned."""
    folder = bpffs_room.ensure(tmp_path / "bpf")
    yield folder / "lictl"
    ctypes.CDLL(None).umount2(str(folder).encode(), _MNT_DETACH)


@pytest.fixture
def wire(netns_prefix: str, request: pytest.FixtureRequest) -> Iterator[Wire]:
    """A veth pair, up."""
    space = f"{netns_prefix}native{abs(hash(request.node.nodeid)) % 100000}"
    namespace.create(space)
    try:
        made = Wire(space, 0, 0)
        made.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
        made.run("ip", "link", "set", "va", "up")
        made.run("ip", "link", "set", "vb", "up")
        numbers = [int(made.run("ip", "-o", "link", "show", name).split(":")[0]) for name in ("va", "vb")]
        yield Wire(space, *numbers)
    finally:
        namespace.remove([space])
