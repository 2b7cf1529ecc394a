# SPDX-License-Identifier: Apache-2.0
"""The tests of the collection side use the kits of the delivery side."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "delivery"))
