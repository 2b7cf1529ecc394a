# SPDX-License-Identifier: Apache-2.0
"""A capture is left alone by commands from another network namespace, whose interfaces have the same numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from daemon_rig import Rig

from lictl.errors import RefusedError
from lictl.home import Home
from lictl.lab import namespace
from lictl.service import pins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site in a namespace of its own."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


@pytest.fixture
def elsewhere(netns_prefix: str) -> Iterator[str]:
    """Another namespace, with an interface of the same name."""
    name = f"{netns_prefix}{os.urandom(3).hex()}"
    namespace.create(name)
    for argv in (["ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1"],):
        subprocess.run(namespace.command(name, argv), check=True, timeout=60)
    yield name
    namespace.remove([name])


def noted(tmp_path: Path, netns: int) -> Home:
    """A home whose daemon left a capture in a namespace."""
    home = Home(tmp_path)
    home.make_folder(home.run)
    (tmp_path / "bpf/maps").mkdir(parents=True)
    (tmp_path / "bpf/maps/li_config").touch()
    pins.note(home, pins.Pins(str(tmp_path / "bpf"), 4096, netns))
    return home


def test_the_own_namespace_is_no_obstacle(tmp_path: Path) -> None:
    """Nor is one that is gone, nor a note that does not tell."""
    for netns in (pins.this_netns(), 1, 0):
        home = noted(tmp_path / str(netns), netns)
        pins.left_behind(home)
    note = home.run / "pins"
    note.write_text(json.dumps({"folder": str(tmp_path / "0/bpf"), "ring_bytes": 4096}))
    pins.left_behind(home)
    assert pins.left_behind(home) == pins.Pins(str(tmp_path / "0/bpf"), 4096, 0)


@pytest.mark.kernel
@pytest.mark.net
def test_another_living_namespace_is_refused(tmp_path: Path, elsewhere: str) -> None:
    """The error says how to get there."""
    home = noted(tmp_path, (namespace.FOLDER / elsewhere).stat().st_ino)
    with pytest.raises(RefusedError, match="another network namespace") as refused:
        pins.left_behind(home)
    assert f"--net={namespace.FOLDER / elsewhere}" in refused.value.fix


@pytest.mark.kernel
@pytest.mark.net
def test_commands_from_elsewhere_leave_the_capture_alone(rig: Rig, elsewhere: str) -> None:
    """With the daemon dead, serve and revoke are refused there and go through in the daemon's own namespace."""
    rig.serve()
    rig.add("L1")
    rig.stop(signal.SIGKILL)
    lictl = rig.lictl("warrant", "revoke", "L1")
    away = namespace.command(elsewhere, lictl[lictl.index("--") + 1 :])
    for argv in (away, [*away[: away.index("warrant")], "serve", "--mirror", "wire1", "--ring-mib", "1"]):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == RefusedError.exit_code, done.stderr
        assert "another network namespace" in done.stderr
    assert rig.attached()
    rig.send(5)
    rig.serve()
    rig.wait(lambda: rig.stream("L1")["in_spool"] == 5, "the packets of the meantime are there")
    rig.stop(signal.SIGKILL)
    assert rig.run("warrant", "revoke", "L1").returncode == 0
