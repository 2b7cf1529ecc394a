# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the folder."""

from __future__ import annotations

from reconcile_kit import pinned, site, wired

__all__ = ["pinned", "site", "wired"]
