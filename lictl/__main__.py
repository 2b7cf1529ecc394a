# SPDX-License-Identifier: Apache-2.0
"""`python -m lictl`."""

from __future__ import annotations

from lictl.cli import main

main()
