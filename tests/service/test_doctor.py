# SPDX-License-Identifier: Apache-2.0
"""What the examination of a machine finds."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from lictl.home import Home
from lictl.lab import namespace
from lictl.service import doctor
from lictl.service.site import Site, make_site


@pytest.mark.parametrize(
    ("version", "told", "found"),
    [
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2", None, False),
        ("#1 SMP PREEMPT_RT Debian 6.1.192-2", None, True),
        ("#1 SMP PREEMPT RT", "1\n", True),
        ("#1 SMP PREEMPT_RT", "0\n", False),
    ],
)
def test_a_realtime_kernel_is_known(tmp_path: Path, version: str, told: str | None, found: bool) -> None:
    """By the file that it has, else by its version."""
    file = tmp_path / "realtime"
    if told is not None:
        file.write_text(told)
    assert doctor.realtime(version, file) is found


def test_this_kernel_is_not_refused_for_being_realtime(tmp_path: Path) -> None:
    """Only a realtime kernel gets that line."""
    names = [check.name for check in doctor.examine(Home(tmp_path), [])]
    expected = doctor.realtime(os.uname().version, Path("/sys/kernel/realtime"))
    assert ("kernel preemption" in names) is expected


def test_a_home_as_init_makes_it_is_in_order(tmp_path: Path) -> None:
    """Nobody is told to close the way to the control socket; what the daemon would refuse is named, with the fix."""
    home = Home(tmp_path / "home")
    make_site(home, Site(operator="ISP-7", element="box-1", country="US"))
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(home.socket))
        home.socket.chmod(0o666)
        assert [(check.state, check.fix) for check in home_checks(home)] == [("ok", "")]
        (home.spool / "agency").mkdir()
        (home.spool / "agency").chmod(0o711)
        home.roles.chmod(0o644)
        fixes = {check.fix for check in home_checks(home) if check.state == "bad"}
        assert fixes == {f"chmod 700 {home.spool / 'agency'}", f"chmod 600 {home.roles}"}


def home_checks(home: Home) -> list[doctor.Check]:
    """What is found of the home's own permissions."""
    return [check for check in doctor.examine(home, []) if check.name == "home"]


@pytest.mark.kernel
@pytest.mark.net
def test_frames_without_a_length_are_warned_of(tmp_path: Path, netns_prefix: str) -> None:
    """An interface that allows BIG TCP: the fix is the command that sets it right."""
    space = f"{netns_prefix}{os.urandom(3).hex()}"
    namespace.create(space)
    try:
        for argv in (
            ["ip", "link", "add", "large", "type", "veth", "peer", "name", "plain"],
            ["ip", "link", "set", "dev", "large", "gso_max_size", "150000"],
        ):
            subprocess.run(namespace.command(space, argv), check=True, timeout=60)
        checks = namespace.inside(space, lambda: doctor.examine(Home(tmp_path), ["large", "plain"]))
        (found,) = [check for check in checks if "BIG TCP" in check.name]
        assert (found.name, found.state) == ("interface large BIG TCP", "bad")
        subprocess.run(namespace.command(space, found.fix.split()), check=True, timeout=120)
        checks = namespace.inside(space, lambda: doctor.examine(Home(tmp_path), ["large", "plain"]))
        assert not [check for check in checks if "BIG TCP" in check.name]
    finally:
        namespace.remove([space])
