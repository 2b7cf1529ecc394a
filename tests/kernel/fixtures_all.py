# SPDX-License-Identifier: Apache-2.0
"""All fixtures of the capture program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fixtures_ipv4
import fixtures_ipv6
import fixtures_link
import fixtures_ports
import fixtures_sites
import fixtures_targets
import fixtures_transport

if TYPE_CHECKING:
    from kernel_case import Case

CASES: list[Case] = [
    *fixtures_link.CASES,
    *fixtures_ipv4.CASES,
    *fixtures_ipv6.CASES,
    *fixtures_transport.CASES,
    *fixtures_targets.CASES,
    *fixtures_ports.CASES,
    *fixtures_sites.CASES,
]
