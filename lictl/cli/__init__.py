# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per command group."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `lictl` command."""
    from lictl.cli.app import app

    app()
