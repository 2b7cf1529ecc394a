# SPDX-License-Identifier: Apache-2.0
"""An interface that is removed and made again under the same name is served again."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from daemon_rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.net]


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site in a namespace of its own."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


def remove(rig: Rig) -> None:
    """Takes both ends of the wire away."""
    subprocess.run(rig.inside("ip", "link", "del", "wire0"), check=True, timeout=60)


def make(rig: Rig) -> None:
    """Makes the wire again, under other indexes."""
    for argv in (
        ["ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1"],
        ["ip", "link", "set", "wire0", "up"],
        ["ip", "link", "set", "wire1", "up"],
    ):
        subprocess.run(rig.inside(*argv), check=True, timeout=120)


def test_an_interface_made_anew_is_served_again(rig: Rig) -> None:
    """Twice: alarmed while it is gone, attached when it is back, counted; its packets are delivered in one stream."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.send(4)
    rig.settled("L1", 4)
    for count in (1, 2):
        remove(rig)
        rig.wait(lambda: "interface" in rig.alarms(), "its absence is alarmed")
        assert rig.status()["interfaces"] == []
        make(rig)
        rig.wait(lambda count=count: rig.status()["daemon"]["reattached"] == count, "it is attached again")  # type: ignore[misc]
        rig.wait(lambda: rig.alarms() == ["interface-anew"], lambda: f"one alarm is left: {rig.alarms()}")
        (port,) = rig.status()["interfaces"]
        assert (port["name"], port["role"], port["mode"]) == ("wire1", "mirror", "native")
        rig.send(5)
        rig.settled("L1", 4 + 5 * count)
    rig.revoke("L1")
    rig.gone("L1")
    assert rig.stop() == 0
    assert not rig.attached()
    assert rig.verdict()["ok"]
    assert rig.numbers() == list(range(14))
