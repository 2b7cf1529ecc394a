# SPDX-License-Identifier: Apache-2.0
"""Short frames are copied word by word: every length is whole, and nothing behind the IP packet comes along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kernel_builds import tables_of
from kernel_case import IFINDEX, P4, T4, content, hook
from taint import mapped_kernel_memory

from lictl.lab.frames import eth, ipv4
from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from kernel_builds import KernelBuild

pytestmark = pytest.mark.kernel

LENGTHS = range(140)  # of the IP packet's payload
INSIDE, BEHIND = b"<in the packet>", b"<behind it>"


@pytest.mark.parametrize("trailer", [b"", BEHIND], ids=["exact", "trailer"])
def test_every_short_length_is_whole(kernel: KernelBuild, trailer: bytes) -> None:
    """A record holds the frame up to the end of its IP packet, byte for byte; the ring holds nothing behind it."""
    kernel.load(tables_of([content(0, f"ip:{T4}")]), hook())
    batch = Batch(8)
    for length in LENGTHS:
        payload = (INSIDE + bytes(number * 7 % 251 for number in range(length)))[:length]
        frame = eth(ipv4(T4, P4, payload, proto=253))
        kernel.probe.test_run(frame + trailer, IFINDEX)
        assert kernel.probe.drain(batch) == 1, length
        assert batch.frame(0) == frame, length
        kernel.probe.release()
    memory = list(mapped_kernel_memory())
    assert any(INSIDE in part for part in memory)
    assert not any(BEHIND[:8] in part for part in memory)
