# SPDX-License-Identifier: Apache-2.0
"""Warrant files that are refused, with every sentence that the operator reads."""

from __future__ import annotations

from refused_authority import AUTHORITY
from refused_forms import FORMS
from refused_window import WINDOW
from refused_words import PEN

REFUSED = AUTHORITY | WINDOW | FORMS

__all__ = ["PEN", "REFUSED"]
