# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of the frames that it may build of several packets."""

from __future__ import annotations

import os
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.lab import namespace
from lictl.probe import superframes


def message(*attributes: tuple[int, bytes]) -> bytes:
    """An RTM_NEWLINK message."""
    body = b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4) for kind, value in attributes
    )
    return struct.pack("=IHHII", 32 + len(body), 16, 0, 1, 0) + bytes(16) + body


def test_limits_are_found_among_others() -> None:
    """By their attribute number; others, and one of another size, are skipped."""
    found = superframes.read(
        message((3, b"eth0\0"), (41, struct.pack("=I", 65536)), (63, struct.pack("=I", 150000)), (64, b"x"))
    )
    assert found == {"gso_max_size": 65536, "gso_ipv4_max_size": 150000}


@given(st.binary(max_size=200), st.binary(max_size=100), st.integers(0, 2**16))
def test_any_answer_is_read(start: bytes, tail: bytes, size: int) -> None:
    """Whatever comes back: values or nothing, never an error, also with lengths that lie."""
    head = struct.pack("=IHHII", size, 16, 0, 1, 0) + bytes(16)
    for data in (start, head + tail, head + struct.pack("=HH", size % 65536, 41) + tail):
        assert all(0 <= value < 2**32 for value in superframes.read(data).values())


def test_an_interface_that_is_not_there_has_no_limits() -> None:
    """No error: other checks name it."""
    assert superframes.limits("no-such-if") == {}


@pytest.mark.kernel
@pytest.mark.net
def test_a_limit_above_the_ip_length_is_found(netns_prefix: str) -> None:
    """As the kernel tells it, of an interface that allows more, and of one that does not."""
    space = f"{netns_prefix}{os.urandom(3).hex()}"
    namespace.create(space)
    try:
        argv = ["ip", "link", "add", "large", "type", "veth", "peer", "name", "plain"]
        subprocess.run(namespace.command(space, argv), check=True, timeout=60)
        argv = ["ip", "link", "set", "dev", "large", "gso_max_size", "150000"]
        subprocess.run(namespace.command(space, argv), check=True, timeout=60)
        assert namespace.inside(space, lambda: superframes.limits("plain"))["gso_max_size"] <= superframes.LARGEST
        assert namespace.inside(space, lambda: superframes.too_large("large"))["gso_max_size"] == 150000
        assert namespace.inside(space, lambda: superframes.too_large("plain")) == {}
    finally:
        namespace.remove([space])
