# SPDX-License-Identifier: Apache-2.0
"""The Python side of the contract holds what kernel/abi.h says."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from lictl.targets import layout

ABI = Path(__file__).parents[2] / "kernel" / "abi.h"

pytestmark = pytest.mark.tree


def _defines() -> dict[str, str]:
    return dict(re.findall(r'#define LI_(\w+) "?([\w]+)"?', ABI.read_text()))


SCALARS = sorted(
    name
    for name in vars(layout)
    if name.isupper() and isinstance(getattr(layout, name), int | str) and name != "TYPE_CHECKING"
)


@pytest.mark.parametrize("name", SCALARS)
def test_constants_equal_those_of_the_kernel(name: str) -> None:
    """Every number and map name has the value of its LI_ counterpart."""
    assert str(getattr(layout, name)) == _defines()[name]


def test_constants_are_all_found() -> None:
    """The list above is not empty by accident: it holds the limits, kinds and map names."""
    assert {"MAX_CLAIMS", "KIND_PPPOE", "MAP_FLOW", "VLAN_NONE"} <= set(SCALARS)


FIELDS = {
    "li_key_v4": (layout.KEY_V4, ["addr", "prefix_len"]),
    "li_key_v6": (layout.KEY_V6, ["addr", "prefix_len"]),
    "li_key_mac": (layout.KEY_MAC, ["mac"]),
    "li_key_vlan": (layout.KEY_VLAN, ["outer", "inner"]),
    "li_key_pppoe": (layout.KEY_PPPOE, ["mac", "session"]),
    "li_key_port": (layout.KEY_PORT, ["addr", "port", "prefix_len"]),
    "li_key_flow": (layout.KEY_FLOW, ["local", "remote", "local_port", "remote_port", "proto"]),
    "li_target": (layout.TARGET, ["n_claims", "flags", "claims"]),
    "li_slot": (layout.SLOT, ["generation", "mode", "flags", "not_before", "not_after"]),
}


def test_struct_sizes_and_offsets_equal_the_compilers(tmp_path: Path) -> None:
    """A C program that includes abi.h reports the size and field offsets that the struct formats have."""
    lines = [
        f'printf("{name} %zu{" %zu" * len(fields)}\\n", sizeof(struct {name}), '
        + ", ".join(f"offsetof(struct {name}, {field})" for field in fields)
        + ");"
        for name, (_, fields) in FIELDS.items()
    ]
    source = tmp_path / "sizes.c"
    source.write_text(
        f'#include <stddef.h>\n#include <stdio.h>\n#include "{ABI}"\nint main(void) {{ {" ".join(lines)} return 0; }}\n'
    )
    subprocess.run(["cc", "-o", tmp_path / "sizes", source], check=True, timeout=120)
    output = subprocess.run([tmp_path / "sizes"], check=True, capture_output=True, text=True, timeout=60).stdout
    for line in output.splitlines():
        name, size, *offsets = line.split()
        packed, fields = FIELDS[name]
        assert packed.size == int(size)
        assert _offsets(packed.format)[: len(fields)] == [int(offset) for offset in offsets], name
    assert len(output.splitlines()) == len(FIELDS)


def _offsets(form: str) -> list[int]:
    """Where each field of a struct format begins; padding is no field."""
    offsets, done = [], "="
    for count, code in re.findall(r"(\d*)([a-zA-Z])", form.removeprefix("=")):
        items = 1 if code in "sx" else int(count or 1)
        for _ in range(items):
            if code != "x":
                offsets.append(struct.calcsize(done))
            done += (count if code in "sx" else "") + code
    return offsets
