# SPDX-License-Identifier: Apache-2.0
"""The agency's side works where there is only Python: no native core, none of the operator's libraries, no Linux."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.delivery.crc import crc32c, plain_crc32c

if TYPE_CHECKING:
    from pathlib import Path

# A process in which only what docs/agency-guide.md names can be imported, with the calls that Windows lacks taken away.
BARE = """
import os, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent} or name == "lictl.probe._native":
            raise ModuleNotFoundError(f"{{name}} is not here", name=name)

sys.meta_path.insert(0, Absent())
if {windows}:
    sys.modules["fcntl"] = sys.modules["resource"] = None
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "fdatasync", "pread", "pwrite", "fchown"):
        delattr(os, name)
    os.supports_dir_fd = set()
"""
OPERATORS = {
    "alembic", "cffi", "numpy", "psycopg", "pyroute2", "reportlab", "sqlalchemy", "structlog",
}  # fmt: skip


def bare(program: str, *, windows: bool = False, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program where only Python and what the guide names are installed."""
    prelude = BARE.format(absent=OPERATORS, windows=windows)
    return subprocess.run(
        [sys.executable, "-c", prelude + program], capture_output=True, text=True, timeout=60, check=False, cwd=cwd
    )


@pytest.mark.parametrize("arguments", [("receive", "--help"), ("decode", "--help"), ("verify", "--help"), ("--help",)])
def test_commands_start_without_the_native_core(arguments: tuple[str, ...]) -> None:
    """The agency's commands answer on a machine that has nothing but what the guide names."""
    done = bare(f"import sys; sys.argv = ['lictl', *{arguments!r}]\nfrom lictl.cli import main\nmain()")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_readers_import_no_encoder() -> None:
    """Everything that reads a format comes without the native core, numpy or an encoder."""
    done = bare(
        "import lictl.handover.decode, lictl.handover.readers, lictl.collection.receiver\n"
        "print([n for n in sys.modules if n.startswith('lictl.probe.') and n != 'lictl.probe.native'])"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@given(st.binary(max_size=300), st.integers(0, 0xFFFFFFFF))
def test_plain_crc_is_the_native_one(data: bytes, start: int) -> None:
    """Both implementations give the same check value, whatever it continues from."""
    assert plain_crc32c(data, start) == crc32c(data, start)
