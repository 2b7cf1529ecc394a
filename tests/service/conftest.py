# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for the daemon, as for the store's own tests, and the records of the tests of handover."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "handover"))
sys.path.insert(0, str(Path(__file__).parent.parent / "warrants"))

from postgres_server import postgres

__all__ = ["postgres"]
