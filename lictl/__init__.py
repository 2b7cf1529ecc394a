# SPDX-License-Identifier: Apache-2.0
"""lictl: lawful intercept for an ISP."""

from __future__ import annotations

from lictl.version import __version__

__all__ = ["__version__"]
