# SPDX-License-Identifier: Apache-2.0
"""Log lines: one JSON object a line on standard error.

No target identifier (address, MAC, VLAN, session, port) and no case or LIID stands in a log line: an order is named by
its internal id only. Exceptions are logged as class and place, without their message, as that may quote a target.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _StandardError:
    """Writes to what standard error is at that moment. A reader of the log that has gone away never stops capture."""

    def __init__(self, *_: object) -> None:
        """structlog hands over what it was given; nothing of it is needed."""

    def msg(self, message: str) -> None:
        """One line."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = msg


def configure(level: str | None = None) -> None:
    """Sends log lines of `level` and above to standard error.

    Args:
        level: debug, info, warning or error; None: LICTL_LOG, else info.
    """
    chosen = LEVELS.get((level or os.environ.get("LICTL_LOG", "info")).lower(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(chosen),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )


def get(part: str) -> Any:
    """A logger whose lines name the part of lictl they come from."""
    return structlog.get_logger(part=part)


def place(error: BaseException) -> dict[str, str]:
    """Where an exception was raised: file name and line, nothing of its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"at": " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))}


# A command is no daemon: standard output is its answer's alone, and what a person has to know stands in that answer.
configure(os.environ.get("LICTL_LOG", "error"))
