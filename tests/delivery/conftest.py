# SPDX-License-Identifier: Apache-2.0
"""The tests of delivery use the records of the tests of handover."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "handover"))
