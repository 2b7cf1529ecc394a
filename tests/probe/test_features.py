# SPDX-License-Identifier: Apache-2.0
"""What doctor asks of the kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lictl.probe import features


@pytest.mark.kernel
def test_a_machine_that_can_capture_has_every_feature() -> None:
    """The program itself is among them, and each that is there needs no fix."""
    found = features.probe()
    assert "capture program" in {feature.name for feature in found}
    assert all(feature.ok and not feature.fix for feature in found)
    assert features.missing_capabilities() == []


@pytest.mark.kernel
def test_a_process_without_privilege_is_told_what_it_lacks() -> None:
    """Nothing raises; each missing thing has a fix; the missing capabilities are named."""
    script = """
from lictl.probe import features
from lictl.probe.native import ffi, lib
text = ffi.new("char[]", 512)
assert lib.ln_drop_privileges(65534, 65534, text, 512) == 0, ffi.string(text)
found = features.probe()
assert not any(feature.ok for feature in found), found
assert all(feature.fix for feature in found), found
print(",".join(features.missing_capabilities()))
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON"
