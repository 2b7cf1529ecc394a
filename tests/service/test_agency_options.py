# SPDX-License-Identifier: Apache-2.0
"""An agency's options are judged when it is added, and only those."""

from __future__ import annotations

import pytest

from lictl.errors import UsageError
from lictl.service.agency_desk import check_agency
from lictl.warrants.model import Agency


@pytest.mark.parametrize(
    "options",
    [{}, {"integrity": "sha512", "signature": "ecdsa", "encryption": "aes-256-cbc"}, {"reports": "summary"}],
)
def test_options_that_go_together_are_taken(options: dict[str, str]) -> None:
    """Also those that need keys, which an agency gets when it is added."""
    check_agency(Agency("lemf", "127.0.0.1", 4000, "etsi-102232", options))


def test_options_that_do_not_are_refused() -> None:
    """With what would go together."""
    with pytest.raises(UsageError, match="digests"):
        check_agency(Agency("lemf", "127.0.0.1", 4000, "etsi-102232", {"signature": "eddsa"}))
