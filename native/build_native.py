# SPDX-License-Identifier: Apache-2.0
"""The cffi builder of ``lictl.probe._native``: its cdef is the contract headers themselves."""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ("kernel/abi.h", "native/native.h")
LIBRARIES = ["bpf", "elf", "z", "pcap"]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]

# The wrappers that cffi writes are not ours to correct; native/*.c is compiled with all warnings.
PREAMBLE = """
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wcast-function-type"
#include "native/native.h"
"""


def cdef_of(path: Path) -> str:
    """The text between the CDEF marks of a header, without comments.

    Raises:
        ValueError: the marks are missing.
    """
    match = re.search(r"/\* CDEF-BEGIN \*/(.*)/\* CDEF-END \*/", path.read_text(), re.DOTALL)
    if match is None:
        raise ValueError(f"{path.name} has no CDEF marks")
    return re.sub(r"/\*.*?\*/", " ", match[1], flags=re.DOTALL)


def sources() -> list[str]:
    """Every C file of the native core, relative to the project."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "native").glob("*.c"))


def depends() -> list[str]:
    """Headers whose change rebuilds the extension."""
    return sorted(
        str(path.relative_to(ROOT)) for folder in ("kernel", "native") for path in (ROOT / folder).glob("*.h")
    )


def make() -> FFI:
    """The configured builder; setup.py and the command line use it."""
    builder = FFI()
    builder.cdef("\n".join(cdef_of(ROOT / header) for header in HEADERS))
    builder.set_source(
        "lictl.probe._native",
        PREAMBLE,
        sources=sources(),
        depends=depends(),
        include_dirs=["."],
        libraries=LIBRARIES,
        extra_compile_args=[
            "-O2",
            "-g",
            "-std=gnu11",
            "-fvisibility=hidden",
            "-fstack-protector-strong",
            "-fno-strict-aliasing",
            *WARNINGS,
        ],
        extra_link_args=["-Wl,-z,relro,-z,now"],
        py_limited_api=True,
    )
    return builder


ffibuilder = make()
