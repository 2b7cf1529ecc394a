# SPDX-License-Identifier: Apache-2.0
"""numpy's view of the contract against what the C compiler makes of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lictl.probe import abi

ROOT = Path(__file__).resolve().parents[2]
STRUCTS = {
    "li_rec": abi.REC,
    "li_target": abi.TARGET,
    "li_slot": abi.SLOT,
    "li_port": abi.PORT,
    "li_config": abi.CONFIG,
    "li_slot_count": abi.SLOT_COUNT,
    "li_totals": abi.TOTALS,
    "li_key_v4": abi.KEY_V4,
    "li_key_v6": abi.KEY_V6,
    "li_key_mac": abi.KEY_MAC,
    "li_key_vlan": abi.KEY_VLAN,
    "li_key_pppoe": abi.KEY_PPPOE,
    "li_key_port": abi.KEY_PORT,
    "li_key_flow": abi.KEY_FLOW,
}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[int, int]]]:
    """struct -> field -> (offset, size), and "" -> (0, size of the struct), as gcc lays them out."""
    folder = tmp_path_factory.mktemp("layout")
    lines = ["#include <stddef.h>", "#include <stdio.h>", '#include "kernel/abi.h"', "int main(void) {"]
    for struct, dtype in STRUCTS.items():
        lines.append(f'printf("{struct}  0 %zu\\n", sizeof(struct {struct}));')
        for field in dtype.names or ():
            of = f"((struct {struct} *)0)->{field}"
            lines.append(f'printf("{struct} {field} %zu %zu\\n", offsetof(struct {struct}, {field}), sizeof({of}));')
    (folder / "layout.c").write_text("\n".join([*lines, "return 0; }"]))
    subprocess.run(["gcc", f"-I{ROOT}", "layout.c", "-o", "layout"], cwd=folder, check=True, timeout=60)
    out = subprocess.run([str(folder / "layout")], capture_output=True, text=True, check=True, timeout=10).stdout
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for line in out.splitlines():
        struct, field, offset, size = line.split(" ")
        found.setdefault(struct, {})[field if field else ""] = (int(offset), int(size))
    return found


@pytest.mark.parametrize("struct", STRUCTS)
def test_dtype_has_the_layout_of_the_struct(struct: str, layout: dict[str, dict[str, tuple[int, int]]]) -> None:
    """Same size, same fields, each at the same offset with the same size."""
    dtype = STRUCTS[struct]
    wanted = dict(layout[struct])
    assert dtype.itemsize == wanted.pop("")[1]
    fields = {name: (dtype.fields[name][1], dtype.fields[name][0].itemsize) for name in dtype.names}  # type: ignore
    assert fields == wanted


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_field_of_the_header_is_there(struct: str) -> None:
    """A field that the header declares is in the dtype, in the header's order."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "kernel/abi.h").read_text(), flags=re.DOTALL)
    body = re.search(rf"struct {struct} \{{(.*?)\n\}};", text, re.DOTALL)
    assert body is not None
    declared = re.findall(r"(\w+)(?:\[\w+\])?;", body[1])
    assert tuple(declared) == STRUCTS[struct].names


def test_no_field_overlaps_another() -> None:
    """Fields are disjoint: a dtype with wrong offsets would still import."""
    for dtype in STRUCTS.values():
        covered = np.zeros(dtype.itemsize, int)
        for name in dtype.names or ():
            kind, offset = dtype.fields[name][:2]  # type: ignore[index]
            covered[offset : offset + kind.itemsize] += 1
        assert covered.max() == 1


def test_every_constant_of_the_header_is_an_int() -> None:
    """Each number of the header has its value in the compiled extension."""
    from lictl.probe.native import lib

    text = (ROOT / "kernel/abi.h").read_text().split("CDEF-END")[0]
    numbers = re.findall(r"^#define (LI_\w+) (\d+)", text, re.MULTILINE)
    assert len(numbers) > 80
    for name, value in numbers:
        assert getattr(lib, name) == int(value), name


def test_map_and_program_names_are_those_of_the_header() -> None:
    """The strings lie outside the cdef."""
    names = re.findall(r'^#define LI_(MAP_\w+|PROG_\w+) "(\w+)"', (ROOT / "kernel/abi.h").read_text(), re.MULTILINE)
    assert len(names) >= 16
    for name, value in names:
        assert getattr(abi, name) == value
        assert len(value) <= 15


def test_class_names_follow_their_numbers() -> None:
    """parse and l4 classes by index."""
    assert len(abi.PARSE_NAMES) == 18
    assert abi.PARSE_NAMES[0] == "ok"
    assert abi.PARSE_NAMES[17] == "jumbogram"
    assert len(abi.L4_NAMES) == 9
    assert abi.L4_NAMES[6] == "later_fragment"


def test_claims_split_into_slot_and_generation() -> None:
    """The inverse functions agree at the limits."""
    for slot in (0, 1, abi.MAX_SLOTS - 1):
        for generation in (1, 77, abi.GENERATION_MAX):
            claim = abi.claim_of(slot, generation)
            assert claim < 1 << 32
            assert (abi.slot_of(claim), abi.generation_of(claim)) == (slot, generation)
