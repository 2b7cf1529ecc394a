# SPDX-License-Identifier: Apache-2.0
"""What every measurement needs: the peers' programs, and the machine's description in the results."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """The bare pass and the generator."""
    with Programs() as loaded:
        yield loaded


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Names what the figures depend on."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "not known",
    )
    memory = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    machine_info["lictl"] = {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }
