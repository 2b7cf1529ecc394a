# SPDX-License-Identifier: Apache-2.0
"""Root writes into folders of the delivery user: nothing in them can lead it elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from delivery_kit import append, open_spool

from lictl.delivery.folder import Folder
from lictl.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def link(secret: Path, place: Path) -> None:
    """A symbolic link to another file."""
    place.symlink_to(secret)


def hard_link(secret: Path, place: Path) -> None:
    """A second name of another file."""
    place.hardlink_to(secret)


def pipe(_secret: Path, place: Path) -> None:
    """A named pipe, on which an open could wait for ever."""
    os.mkfifo(place)


def folder(_secret: Path, place: Path) -> None:
    """A folder in place of a file."""
    place.mkdir()


@pytest.mark.parametrize("trap", [link, hard_link, pipe, folder])
@pytest.mark.parametrize("name", ["marks", "cursor", "id", "writer.lock", "00000000000000000001.seg"])
def test_spool_refuses_traps(tmp_path: Path, name: str, trap: Callable[[Path, Path], None]) -> None:
    """A spool in which a file was replaced is not opened, and the other file stays as it was."""
    secret = tmp_path / "secret"
    secret.write_text("root's own")
    before = secret.stat()
    spool = open_spool(tmp_path / "s")
    append(spool)
    spool._close_files()
    (tmp_path / "s" / name).unlink()
    trap(secret, tmp_path / "s" / name)
    with pytest.raises(MachineError):
        open_spool(tmp_path / "s", owner_uid=os.getuid())
    assert secret.read_text() == "root's own"
    assert (secret.stat().st_uid, secret.stat().st_mode) == (before.st_uid, before.st_mode)


def test_next_segment_is_not_redirected(tmp_path: Path) -> None:
    """A link that waits under the name of the next segment gets nothing."""
    spool = open_spool(tmp_path / "s", segment_bytes=500)
    append(spool, 20)
    (tmp_path / "s" / "00000000000000000002.seg").symlink_to(tmp_path / "stolen")
    with pytest.raises(MachineError):
        append(spool, 20)
    assert not (tmp_path / "stolen").exists()
    (tmp_path / "s" / "00000000000000000002.seg").unlink()
    append(spool, 20)
    spool.close()


def test_spool_folder_is_not_followed(tmp_path: Path) -> None:
    """A link in place of the whole folder is refused."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError):
        open_spool(tmp_path / "s")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_plain_files_work(tmp_path: Path) -> None:
    """Made, read, measured, cut, renamed, removed."""
    here = Folder(tmp_path)
    fd = here.open("a", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"abcdef")
    os.close(fd)
    here.truncate("a", 3)
    here.rename("a", "b")
    assert (here.read("b"), here.size("b"), here.size("a"), here.names()) == (b"abc", 3, -1, ["b"])
    here.unlink("b")
    here.unlink("b")
    assert here.names() == []
    here.close()
    here.close()
