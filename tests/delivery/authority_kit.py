# SPDX-License-Identifier: Apache-2.0
"""A small certification authority whose certificates lie in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.lab import authority

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """Makes certificates in a folder; `file` is its own."""

    def __init__(self, folder: Path, name: str, days: float = 1.0) -> None:
        self.folder = folder
        self._authority = authority.Authority(name, days)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_text(self._authority.pem)

    def issue(
        self, name: str, days: float = 1.0, host: str = "127.0.0.1", key: Path | None = None
    ) -> tuple[Path, Path]:
        """Certificate and key for a host, by default 127.0.0.1; it ends in so many days, or has ended.

        Args:
            name: of the files.
            days: until its end.
            host: that it names.
            key: file of a key that is there already.
        """
        pair = self._authority.issue(host, days, "" if key is None else key.read_text())
        return pair.save(self.folder, name)
