# SPDX-License-Identifier: Apache-2.0
"""`lictl receive` and `lictl replay`: the agency's side, and a capture file in place of a wire."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lictl.cli import output, state
from lictl.errors import IntegrityError


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("receive", epilog="Example: lictl receive --listen 127.0.0.1:41900 --into evidence")(receive)
    app.command("replay", epilog="Example: lictl replay capture.pcapng --warrant order.toml --into evidence")(replay)
