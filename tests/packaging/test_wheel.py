# SPDX-License-Identifier: Apache-2.0
"""The wheel needs nothing of the machine that built it.

`make test-wheel` installs the wheel in a fresh environment, runs these tests with that environment's interpreter and
names the wheel in LICTL_TEST_WHEEL.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = os.environ.get("LICTL_TEST_WHEEL", "")
pytestmark = pytest.mark.skipif(not WHEEL, reason="runs in `make test-wheel`, on the installed wheel")

BUNDLED = ("libbpf", "libelf", "libz", "libpcap")
# What PEP 600 lets a manylinux wheel expect of any machine.
OF_THE_SYSTEM = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
HIDDEN = ("libbpf.so*", "libelf.so*", "libelf-*.so", "libpcap.so*")


@pytest.fixture
def archive() -> zipfile.ZipFile:
    """The wheel, opened."""
    return zipfile.ZipFile(WHEEL)


def needed(file: Path) -> set[str]:
    """The shared libraries that an ELF file asks for (DT_NEEDED)."""
    text = subprocess.run(["readelf", "-d", str(file)], capture_output=True, text=True, check=True, timeout=60).stdout
    return {line.split("[")[1].split("]")[0] for line in text.splitlines() if "(NEEDED)" in line}


def hidden_libraries() -> list[Path]:
    """The system's own copies of what the wheel bundles."""
    folders = [Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-gnu*")]
    return sorted({f.resolve() for folder in folders for pattern in HIDDEN for f in folder.glob(pattern)})


def run_bare(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command where no compiler is on the path and the system's libbpf, libelf and libpcap are empty files.

    The mounts live in a mount namespace of this one process.
    """
    empty = folder / "empty"
    empty.touch()
    script = folder / "bare.sh"
    mounts = [f"mount --bind {empty} {library}" for library in hidden_libraries()]
    script.write_text("\n".join(["set -e", *mounts, f"PATH={Path(sys.executable).parent}", 'exec "$@"\n']))
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", str(script), *command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LICTL_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_suite_sees_the_wheel() -> None:
    """`import lictl` finds the installed wheel, not a source tree."""
    import lictl

    assert "site-packages" in str(lictl.__file__)


def test_capture_object_is_inside_with_its_hash(archive: zipfile.ZipFile) -> None:
    """The BPF object lies beside the hash that it is checked against."""
    program = archive.read("lictl/probe/capture.bpf.o")
    said = archive.read("lictl/probe/capture.bpf.o.sha256").decode().split()[0]
    assert program[:4] == b"\x7fELF"
    assert hashlib.sha256(program).hexdigest() == said


def test_libraries_are_inside(archive: zipfile.ZipFile, tmp_path: Path) -> None:
    """Every library that an ELF file of the wheel asks for is in the wheel or belongs to every Linux."""
    archive.extractall(tmp_path)
    files = [f for f in tmp_path.rglob("*.so*") if f.is_file()]
    inside = {f.name for f in files}
    for library in BUNDLED:
        assert any(name.startswith((f"{library}.", f"{library}-")) for name in inside), f"{library} is not in the wheel"
    assert set().union(*(needed(f) for f in files)) - inside - OF_THE_SYSTEM == set()


def test_name_says_where_it_runs() -> None:
    """The tag names the C library and the Python it needs, so pip refuses it where it cannot run."""
    assert "-cp311-abi3-manylinux_2_" in Path(WHEEL).name


def test_nothing_else_is_inside(archive: zipfile.ZipFile) -> None:
    """The wheel holds the package, its libraries and its metadata: no tests, no tools, no C sources."""
    tops = {name.split("/")[0] for name in archive.namelist()}
    assert {t for t in tops if t != "lictl" and not t.endswith((".dist-info", ".libs"))} == set()
    assert [n for n in archive.namelist() if n.endswith((".c", ".h", ".pyc"))] == []


def test_licences_and_entry_point(archive: zipfile.ZipFile) -> None:
    """Both licence texts and the `lictl` command come with it."""
    info = next(n.split("/")[0] for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    names = set(archive.namelist())
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/kernel/LICENSE"} <= names
    assert "lictl = lictl.cli:main" in archive.read(f"{info}/entry_points.txt").decode()


@pytest.mark.kernel
def test_commands_run_without_compiler_and_libraries(tmp_path: Path) -> None:
    """`lictl version` and `lictl doctor` answer on a machine that has neither clang nor libbpf."""
    assert hidden_libraries(), "this machine has the libraries that the test means to hide"
    version = run_bare(["lictl", "version", "--json"], tmp_path)
    assert version.returncode == 0, version.stderr
    assert len(json.loads(version.stdout)["capture_object_sha256"]) == 64
    doctor = run_bare(["lictl", "doctor", "--json"], tmp_path)
    assert json.loads(doctor.stdout), doctor.stderr
    assert "Traceback" not in doctor.stderr


@pytest.mark.kernel
def test_capture_program_loads_without_compiler_and_libraries(tmp_path: Path) -> None:
    """The kernel takes the wheel's capture program, and a frame runs through it, without clang or libbpf around."""
    script = tmp_path / "load.py"
    script.write_text(
        "from lictl.probe.probe import Probe\n"
        "probe = Probe.open(None, 1 << 20, fresh=True)\n"
        "verdict = probe.test_run(bytes(64))\n"
        "print('verdict', verdict)\n"
        "probe.close()\n"
        "libraries = [l.split()[-1] for l in open('/proc/self/maps') if '.so' in l]\n"
        "own = {l for l in libraries if 'libbpf' in l or 'libelf' in l or 'libpcap' in l}\n"
        "assert own and all('lictl.libs' in l for l in own), own\n"
    )
    done = run_bare([sys.executable, "-P", str(script)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verdict ")
