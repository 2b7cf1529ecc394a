# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per command group."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Entry point of the `lictl` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a terminal or a pipe cannot show is escaped, not a defect
        sys.stdout.reconfigure(errors="backslashreplace")
    from lictl.cli.app import app

    app()
