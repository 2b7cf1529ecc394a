# SPDX-License-Identifier: Apache-2.0
"""The home folder of one site: where everything lies, and with which permissions."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_HOME = Path("/var/lib/lictl")
FOLDER_MODE = 0o700
FILE_MODE = 0o600
# The way to the control socket: may be passed through by role holders, not be listed.
PASSAGE_MODE = 0o711
SOCKET_MODE = 0o666


class Home:
    """Paths of one home; makes folders with mode 0700 on demand.

    Attributes:
        root: the folder itself (``--home``, ``LICTL_HOME``, default /var/lib/lictl).
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def default(cls) -> Home:
        """The home that the environment names, or the default one."""
        return cls(Path(os.environ.get("LICTL_HOME") or DEFAULT_HOME))

    @property
    def site_file(self) -> Path:
        """Who runs this site: operator, network element, country (TOML)."""
        return self.root / "lictl.toml"

    @property
    def roles(self) -> Path:
        """Who may do what (TOML)."""
        return self.root / "roles.toml"

    @property
    def database(self) -> Path:
        """Agencies and warrants (SQLite)."""
        return self.root / "warrants.db"

    @property
    def run(self) -> Path:
        """Files that live as long as the daemon or the machine's uptime."""
        return self.root / "run"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.run / "control.sock"

    @property
    def lock(self) -> Path:
        """Held by the one daemon that serves this home."""
        return self.run / "daemon.lock"

    @property
    def accounts(self) -> Path:
        """What of the streams' accounts stands nowhere else; one folder an order."""
        return self.root / "accounts"

    @property
    def bpf(self) -> Path:
        """Mount point of the bpffs that holds the pinned maps and links."""
        return self.run / "bpf"

    @property
    def spool(self) -> Path:
        """One folder an agency, in it one a stream."""
        return self.root / "spool"

    @property
    def outbox(self) -> Path:
        """Files that agencies fetch, where their folder is not elsewhere; one folder an agency."""
        return self.root / "outbox"

    @property
    def exists(self) -> bool:
        """True once ``lictl init`` has made this home."""
        return self.site_file.is_file()

    @property
    def passages(self) -> tuple[Path, Path]:
        """The folders on the way to the control socket."""
        return self.root, self.run

    def make_folder(self, folder: Path) -> Path:
        """Makes a folder below the home, mode 0700 all the way."""
        if folder.parent != self.root and folder.parent.is_relative_to(self.root):
            self.make_folder(folder.parent)
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if folder != self.run:
            folder.chmod(FOLDER_MODE)
        return folder


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
