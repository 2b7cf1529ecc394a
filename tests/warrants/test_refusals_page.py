# SPDX-License-Identifier: Apache-2.0
"""docs/refusals.md is made from the refused files, which another test reads one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals_page import page
from refused_files import REFUSED

pytestmark = pytest.mark.tree


def test_the_page_is_the_table() -> None:
    """Every refused file with every sentence, and nothing else."""
    assert (Path(__file__).parents[2] / "docs" / "refusals.md").read_text() == page()


def test_there_are_enough() -> None:
    """At least 60 files, of both kinds, and no two with the same sentences."""
    assert len(REFUSED) >= 60
    assert sum(unlawful for _, _, _, unlawful in REFUSED.values()) >= 30
    assert len({tuple(problems) for _, _, problems, _ in REFUSED.values()}) >= len(REFUSED) - 2
