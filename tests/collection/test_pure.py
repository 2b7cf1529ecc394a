# SPDX-License-Identifier: Apache-2.0
"""The agency's side works where there is only Python: no native core, none of the operator's libraries, no Linux."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdu_kit import ipcc

from lictl.delivery.crc import crc32c, plain_crc32c

ROOT = Path(__file__).resolve().parents[2]

# A process in which only what docs/agency-guide.md names can be imported, with the calls that Windows lacks taken away.
BARE = """
import os, subprocess, sys

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


RECEIVE = """
import socket, sys
from pathlib import Path
from lictl.collection.receiver import Receiver
from lictl.cli import main

folder = Path("evidence")
for first in (0, 2):
    with Receiver(("127.0.0.1", 0), folder).start() as receiver, socket.create_connection(receiver.address) as line:
        line.sendall(bytes.fromhex({pdus!r}[first // 2]))
        while receiver.progress().records < first + 2:
            pass
        verdict = receiver.write_verdict()
print(verdict.ok, verdict.evidence[0].pdus)
sys.argv = ["lictl", "decode", "evidence/LIID0001.etsi-102232"]
main()
"""


@pytest.mark.tree
@pytest.mark.parametrize("windows", [False, True])
def test_receiving_and_decoding_without_the_native_core(tmp_path: Path, windows: bool) -> None:
    """Evidence is received, continued after a restart and decoded, also without the calls that Windows lacks."""
    modules = tmp_path / "modules"
    modules.mkdir()
    if windows:  # what locks a file there
        (modules / "msvcrt.py").write_text("LK_NBLCK = 2\n\ndef locking(*_):\n    pass\n")
    pdus = [(ipcc(first) + ipcc(first + 1)).hex() for first in (0, 2)]
    program = f"sys.path.insert(0, {str(modules)!r})\n" + RECEIVE.format(pdus=pdus)
    done = bare(program, windows=windows, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "True 4"
    assert [line.split("seq=")[1][:1] for line in lines[1:]] == ["0", "1", "2", "3"]


@pytest.mark.tree
def test_the_guide_names_what_is_needed() -> None:
    """The packages that the guide installs are those of the project, with its bounds, and are enough."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    guide = (ROOT / "docs" / "agency-guide.md").read_text()
    (line,) = re.findall(r"pip install (\".*)", guide)
    named = re.findall(r'"([^"]+)"', line)
    assert set(named) <= set(project)
    assert {re.split("[<>]", name)[0] for name in named} == {"cryptography", "msgpack", "rich", "typer"}


@pytest.mark.tree
def test_the_agency_s_wheel_is_for_any_system(tmp_path: Path) -> None:
    """Built without a compiler's help, it holds no native code and installs anywhere."""
    for name in ("lictl", "kernel"):
        ignore = shutil.ignore_patterns("*.so", "*.o", "*.sha256", "__pycache__", "_native.c")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", "."]
    done = subprocess.run(
        build,
        cwd=tmp_path,
        env=os.environ | {"LICTL_AGENCY": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "out").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "lictl/collection/receiver.py" in names
    assert [name for name in names if name.endswith((".so", ".o"))] == []
