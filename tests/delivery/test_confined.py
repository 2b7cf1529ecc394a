# SPDX-License-Identifier: Apache-2.0
"""A delivery process that is taken over reaches nothing: no other agency's spool, no program, no other socket."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from agency_kit import OddAgency
from delivery_kit import Agency, append, open_sealed, sealed_stream, wait_for

import lictl
from lictl.delivery.privilege import landlock_version
from lictl.delivery.supervisor import AgencyWorker

if TYPE_CHECKING:
    from collections.abc import Callable

_INSIDE = """
import errno, os, socket, sys
from pathlib import Path
from lictl.delivery.config import WorkerConfig
from lictl.delivery.worker import _enter, _load_resolver
_load_resolver()
_enter(WorkerConfig("lea", sys.argv[1], "h", 1))
"""

landlocked = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")


@pytest.fixture
def inside(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs lines of Python in a process that has entered its agency's folder as a worker does."""
    for name in ("lea", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "note").write_text(name)

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _INSIDE + code, str(tmp_path / "lea"), str(tmp_path / "other")]
        environment = {**os.environ, "PYTHONPATH": str(Path(lictl.__file__).parent.parent)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


def test_its_own_folder_stays_open(inside: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """Files are made, written, renamed, cut, removed; names are resolved; connections are made."""
    done = inside(
        "Path('new').write_text('x'); os.truncate('new', 0); os.rename('new', 'newer'); os.unlink('newer')\n"
        "assert Path('note').read_text() == 'lea'\n"
        "assert socket.getaddrinfo('localhost', 1, socket.AF_INET, socket.SOCK_STREAM)\n"
        "assert Path('/etc/hosts').read_text()\n"
        "import decimal, zipfile\n"
        "for family in (socket.AF_INET, socket.AF_INET6):\n"
        "    try: socket.create_connection(('127.0.0.1', 9), 1)\n"
        "    except ConnectionRefusedError: pass\n"
        "print('all right')\n"
    )
    assert (done.stdout, done.returncode) == ("all right\n", 0), done.stderr


SHUT = (
    "open(sys.argv[2] + '/note')",
    "open(sys.argv[2] + '/new', 'w')",
    "open('../other/note')",
    "os.listdir('/tmp')",
    "os.listdir('..')",
    "open('/proc/self/environ')",
    "open('/etc/hosts', 'a')",
    "os.symlink('/etc', 'here')",
    "os.link(sys.argv[2] + '/note', 'mine')",
    "os.rename(sys.argv[2] + '/note', 'mine')",
)


@landlocked
def test_everything_else_is_shut(inside: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """Another agency's folder, the rest of the machine, links that would lead there: refused, whoever the user is."""
    done = inside(
        "".join(
            f"try: {line}\nexcept OSError as error: print(errno.errorcode[error.errno])\nelse: print('open')\n"
            for line in SHUT
        )
    )
    found = dict(zip(SHUT, done.stdout.split(), strict=True))
    assert {line: result for line, result in found.items() if result not in ("EACCES", "EXDEV")} == {}, done.stderr


NEVER = (
    "os.execv('/bin/true', ['true'])",
    "libc.ptrace(0, 0, 0, 0)",
    "libc.mount(b'x', b'.', b'tmpfs', 0, None)",
    "libc.unshare(0x10000000)",
    "libc.setns(0, 0)",
    "libc.chroot(b'.')",
    "os.mkfifo('pipe')",
    "libc.syscall({'x86_64': 321, 'aarch64': 280}[os.uname().machine], 0, 0, 0)",
)
_EACH = """
import ctypes
libc = ctypes.CDLL(None)
for line in {lines}:
    child = os.fork()
    if not child:
        try: exec(line)
        finally: os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
"""


def test_calls_that_delivering_never_makes_end_it(inside: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """Other programs, other processes, mounts, namespaces, device nodes, BPF: the kernel ends the process at once."""
    done = inside(_EACH.format(lines=NEVER))
    found = dict(zip(NEVER, map(int, done.stdout.split()), strict=True))
    assert found == dict.fromkeys(NEVER, signal.SIGSYS.value), done.stderr


def test_no_other_sockets(inside: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """The families of the internet and those of name resolution, and no others."""
    done = inside(
        "for family in (socket.AF_PACKET, socket.AF_VSOCK, socket.AF_ALG):\n"
        "    try: socket.socket(family, socket.SOCK_RAW)\n"
        "    except OSError as error: print(errno.errorcode[error.errno])\n"
    )
    assert done.stdout.split() == ["EAFNOSUPPORT"] * 3, done.stderr


def test_it_does_not_listen(inside: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """A port that others could reach it by cannot be opened (Landlock 4, Linux 6.7)."""
    if landlock_version() < 4:
        pytest.skip("this kernel's Landlock does not know ports")
    done = inside("try: socket.create_server(('127.0.0.1', 0))\nexcept OSError as error: print(error.errno)")
    assert done.stdout == "13\n", done.stderr


def test_it_ends_no_other_process(inside: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """Not even one of its own user, such as another agency's worker (Landlock 6, Linux 6.12)."""
    if landlock_version() < 6:
        pytest.skip("this kernel's Landlock does not know signals")
    done = inside("try: os.kill(os.getppid(), 0)\nexcept OSError as error: print(errno.errorcode[error.errno])")
    assert done.stdout == "EPERM\n", done.stderr


def test_a_real_worker_is_confined(tmp_path: Path) -> None:
    """The process that the daemon starts runs under the filter, whoever its user is."""
    (tmp_path / "lea").mkdir()
    spool = open_sealed(tmp_path / "lea" / "W-1")
    append(spool, 3)
    with OddAgency() as agency:
        worker = AgencyWorker(Agency("lea", "127.0.0.1", agency.port), tmp_path / "lea", [sealed_stream()])
        worker.start()
        try:
            agency.welcome()
            wait_for(lambda: worker.state().pid)
            status = Path(f"/proc/{worker.state().pid}/status").read_text()
        finally:
            worker.stop()
    assert re.search(r"^Seccomp:\t2$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
    spool.close()
