# SPDX-License-Identifier: Apache-2.0
"""What `lictl serve` accepts as ports and sizes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.errors import UsageError
from lictl.service.options import PortSpec, read_ports, read_size, ring_bytes


def test_interfaces_and_mirrors_become_ports() -> None:
    """NAME=ROLE and NAME+drop are read as written."""
    assert read_ports(["eth1=access", "eth2=core"], ["eth3+drop", "eth4"]) == (
        PortSpec("eth1", "access"),
        PortSpec("eth2", "core"),
        PortSpec("eth3", "mirror", True),
        PortSpec("eth4", "mirror"),
    )


@pytest.mark.parametrize(
    ("interfaces", "mirrors"),
    [
        ([], []),
        (["eth1"], []),
        (["eth1=both"], []),
        (["=access"], []),
        (["eth1=access", "eth1=core"], []),
        (["eth1=access"], ["eth1"]),
        ([], ["eth3+tee"]),
        ([], ["+drop"]),
        (["a-name-that-is-too-long=access"], []),
        (["../x=access"], []),
        (["e th=access"], []),
    ],
)
def test_wrong_ports_are_refused(interfaces: list[str], mirrors: list[str]) -> None:
    """No port, an unknown role, a name twice or an impossible name is refused with what to write."""
    with pytest.raises(UsageError) as caught:
        read_ports(interfaces, mirrors)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2K", 2048), ("500M", 500 << 20), ("10GiB", 10 << 30), ("1t", 1 << 40)]
)
def test_sizes(text: str, size: int) -> None:
    """Units are powers of 1024."""
    assert read_size(text) == size


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    """A size is positive; everything else is refused, never another error."""
    with contextlib.suppress(UsageError):
        assert read_size(text) > 0


@pytest.mark.parametrize("mebibytes", [0, -1, 3, 100, 4096])
def test_a_ring_is_a_power_of_two(mebibytes: int) -> None:
    """The kernel takes no other size."""
    with pytest.raises(UsageError):
        ring_bytes(mebibytes)


def test_ring_of_64_mib() -> None:
    """MiB become bytes."""
    assert ring_bytes(64) == 67108864
