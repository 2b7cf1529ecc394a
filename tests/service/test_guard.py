# SPDX-License-Identifier: Apache-2.0
"""A home is private, and served by one daemon."""

from __future__ import annotations

import multiprocessing
import os
import stat
from typing import TYPE_CHECKING

import pytest

from lictl.delivery.privilege import hide_memory
from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.service.guard import DaemonLock, check_files, exposure, open_home, open_passages
from lictl.service.site import Site, check_site, make_site, read_site

if TYPE_CHECKING:
    from pathlib import Path

SITE = Site(operator="ISP-7", element="box-1", country="US")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh home."""
    home = Home(tmp_path / "home")
    make_site(home, SITE)
    return home


def test_init_makes_a_private_home(home: Home) -> None:
    """Folders are 0700, the two on the way to the socket 0711, files 0600; the site can be read back."""
    assert read_site(home) == SITE
    assert stat.S_IMODE(home.spool.stat().st_mode) == 0o700
    for path in (home.root, home.run):
        assert stat.S_IMODE(path.stat().st_mode) == 0o711
    for path in (home.site_file, home.roles):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_home(home) is home


def test_init_refuses_a_folder_in_use(tmp_path: Path) -> None:
    """Nothing in the folder is touched."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedError):
        make_site(Home(tmp_path), SITE)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("operator", "element", "country"),
    [
        ("", "e", "US"),
        ("o" * 17, "e", "US"),
        ("o", "e" * 17, "US"),
        ("o", "e", "usa"),
        ("o", "e", "us"),
        ('o"', "e", "US"),
    ],
)
def test_identifiers_that_cannot_be_handed_over_are_refused(operator: str, element: str, country: str) -> None:
    """1 to 16 plain characters, a country of two capitals."""
    with pytest.raises(UsageError):
        check_site(operator, element, country)


@pytest.mark.parametrize(
    "text", ["operator = ", 'operator = "x"', 'operator="x"\nelement="y"\ncountry="US"\nmore=1', "\xff"]
)
def test_a_damaged_site_file_is_refused(home: Home, text: str) -> None:
    """Not TOML, missing or unknown keys: said, with the file's name."""
    home.site_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"lictl\.toml"):
        read_site(home)


def test_no_home(tmp_path: Path) -> None:
    """A folder that init did not make is not there."""
    with pytest.raises(UnavailableError, match="lictl init"):
        open_home(Home(tmp_path / "nothing"))


@pytest.mark.parametrize("mode", [0o714, 0o720, 0o704, 0o770, 0o755])
@pytest.mark.parametrize("name", ["root", "run"])
def test_a_home_that_others_can_list_or_change_is_refused(home: Home, name: str, mode: int) -> None:
    """Others may pass to the control socket; any more is refused, and the fix says chmod."""
    getattr(home, name).chmod(mode)
    with pytest.raises(RefusedError, match="chmod 711"):
        open_home(home)


def test_a_home_of_an_older_lictl_is_private_enough(home: Home) -> None:
    """0700 is taken; the daemon opens the way to its socket."""
    home.root.chmod(0o700)
    assert open_home(home) is home
    open_passages(home)
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o711


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o611])
def test_every_file_of_the_home_is_looked_at(home: Home, mode: int) -> None:
    """One open file, however deep, is found at a start; private again it is not."""
    folder = home.make_folder(home.root / "accounts" / "W-1")
    path = folder / "agency.json"
    path.write_text("{}")
    path.chmod(mode)
    with pytest.raises(RefusedError, match="chmod 600"):
        check_files(home, None)
    path.chmod(0o600)
    check_files(home, None)


def test_an_open_folder_of_the_home_is_found(home: Home) -> None:
    """Search only is allowed on the way to the socket and nowhere else."""
    folder = home.make_folder(home.spool / "agency")
    folder.chmod(0o711)
    with pytest.raises(RefusedError, match="chmod 700"):
        check_files(home, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_only_spools_may_be_the_delivery_users(home: Home) -> None:
    """The delivery's user owns files below spool; elsewhere a foreign file is refused."""
    spool = home.make_folder(home.spool / "agency")
    os.chown(spool, 60971, -1)
    check_files(home, 60971)
    with pytest.raises(RefusedError, match="60971"):
        check_files(home, None)
    os.chown(spool, 0, -1)
    os.chown(home.roles, 60971, -1)
    with pytest.raises(RefusedError, match="60971"):
        check_files(home, 60971)


@pytest.mark.parametrize("name", ["site_file", "roles", "spool"])
def test_a_part_that_others_can_read_is_refused(home: Home, name: str) -> None:
    """The same holds for what lies in it."""
    path: Path = getattr(home, name)
    path.chmod(0o744)
    with pytest.raises(RefusedError, match="chmod"):
        open_home(home)


def test_a_foreign_owner_is_refused(home: Home) -> None:
    """A home that another user owns could be changed by that user."""
    os.chown(home.root, 12345, -1)
    assert "12345" in (exposure(home.root) or ("", ""))[0]
    with pytest.raises(RefusedError):
        open_home(home)


def test_a_symbolic_link_is_refused(home: Home, tmp_path: Path) -> None:
    """The database must not lie behind a link."""
    (tmp_path / "elsewhere").write_text("")
    home.database.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="symbolic link"):
        open_home(home)


def test_one_daemon_a_home(home: Home) -> None:
    """The second is refused and names the first; after it has gone the lock is free."""
    with DaemonLock(home), pytest.raises(RefusedError, match=str(os.getpid())):
        DaemonLock(home).take()
    with DaemonLock(home):
        pass


def test_a_killed_daemon_leaves_no_lock(home: Home) -> None:
    """The kernel drops the lock with the process, also after kill -9."""
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(home.root, held), daemon=True)
    process.start()
    assert held.wait(60)
    with pytest.raises(RefusedError, match=str(process.pid)):
        DaemonLock(home).take()
    process.kill()
    process.join(60)
    DaemonLock(home).take().release()


def _hold(root: Path, held: object) -> None:
    lock = DaemonLock(Home(root)).take()
    held.set()  # type: ignore[attr-defined]
    while lock:
        os.sched_yield()


def test_memory_is_hidden() -> None:
    """After it no core dump is possible and the process is not dumpable."""
    process = multiprocessing.get_context("spawn").Process(target=_hide_and_check, daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def _hide_and_check() -> None:
    import ctypes
    import resource

    hide_memory()
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
