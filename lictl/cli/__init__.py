# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per command group."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def main() -> None:
    """Entry point of the `lictl` command."""
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a terminal or a pipe cannot show is escaped, not a defect
        sys.stdout.reconfigure(errors="backslashreplace")
    from lictl.cli.app import app

    app()


def _open_standard_streams() -> None:
    """A standard stream that is closed is /dev/null: its number must not become that of a file of ours."""
    nothing = Path(os.devnull)
    sys.stdin = sys.stdin or nothing.open()
    sys.stdout = sys.stdout or nothing.open("w")
    sys.stderr = sys.stderr or nothing.open("w")
