# SPDX-License-Identifier: Apache-2.0
"""The pages on formats show what the encoders write today."""

from __future__ import annotations

import io

import pytest
from handover_examples import BLOCK, FORMATS, examples, stream

from lictl.handover.decode import Record, decode

PAGES = (
    "pcapng.md",
    "descriptive-text.md",
    "msgpack.md",
    "etsi-103221-2.md",
    "tzsp.md",
    "ccc.md",
    "pcap.md",
    "atis-1000013.md",
)


def shown() -> dict[str, str]:
    """Every example that a page shows."""
    return {m[2]: m[3] for page in PAGES for m in BLOCK.finditer((FORMATS / page).read_text())}


@pytest.mark.parametrize("name", sorted(examples()))
def test_an_example_is_what_the_encoder_writes(name: str) -> None:
    """Octet for octet; run tests/handover/handover_examples.py after a change of a format."""
    assert shown()[name] == examples()[name]


def test_pages_show_no_other_example() -> None:
    """An example that nothing regenerates would grow stale."""
    assert set(shown()) == set(examples())


@pytest.mark.parametrize("form", ["pcapng", "text", "msgpack", "atis-1000013"])
def test_examples_decode(form: str) -> None:
    """The example streams are good ones, with the losses that the pages speak of."""
    found = [i for i in decode(form, io.BytesIO(stream(form, "headers"))) if isinstance(i, Record)]
    assert [(item.sequence, item.lost_before) for item in found] == [(1, 0), (4, 2)]
