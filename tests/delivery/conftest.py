# SPDX-License-Identifier: Apache-2.0
"""The tests of delivery use the records of the tests of handover, and spools of the agency "lea"."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery_kit import open_sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.delivery.spool import Spool

sys.path.insert(0, str(Path(__file__).parent.parent / "handover"))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Folder of one agency in a spool; the current folder comes back."""
    before = Path.cwd()
    folder = tmp_path / "spool" / "lea"
    folder.mkdir(parents=True)
    yield folder
    os.chdir(before)


@pytest.fixture
def spool(root: Path) -> Iterator[Spool]:
    """A sealed spool of one stream."""
    made = open_sealed(root / "W-1")
    yield made
    made.close()
