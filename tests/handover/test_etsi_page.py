# SPDX-License-Identifier: Apache-2.0
"""docs/formats/etsi-102232.md shows what the encoder writes today."""

from __future__ import annotations

import pytest
from etsi_examples import PAGE, examples
from handover_examples import BLOCK

pytestmark = pytest.mark.tree


@pytest.mark.parametrize("name", sorted(examples()))
def test_an_example_is_what_the_encoder_writes(name: str) -> None:
    """Octet for octet; run tests/handover/etsi_examples.py after a change of the format."""
    shown = {match[2]: match[3] for match in BLOCK.finditer(PAGE.read_text())}
    assert set(shown) == set(examples())
    assert shown[name] == examples()[name]
