# SPDX-License-Identifier: Apache-2.0
"""The records that the tests of handover are made of serve here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "handover"))
