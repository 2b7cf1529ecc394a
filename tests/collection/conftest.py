# SPDX-License-Identifier: Apache-2.0
"""The tests of the collection side use the kits of the delivery side and of the formats."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / name) for name in ("delivery", "handover")]
