# SPDX-License-Identifier: Apache-2.0
"""The programs that the lab runs, and the Debian packages they come from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lictl.errors import MachineError

PACKAGES = {
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "dnsmasq": "dnsmasq-base",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "nsenter": "util-linux",
    "ping": "iputils-ping",
    "tcpdump": "tcpdump",
    "tcpreplay": "tcpreplay",
    "tshark": "tshark",
}

LAB_TOOLS = ("ethtool", "nsenter", "ping")


def require(*tools: str) -> None:
    """Checks that this process may build a lab and that the programs are installed.

    Raises:
        MachineError: naming the Debian packages, or saying that root is needed.
    """
    if os.geteuid() != 0:
        raise MachineError(
            "The lab makes network namespaces, which needs root.", "Run it as root, for example with sudo."
        )
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    missing = [tool for tool in (*LAB_TOOLS, *tools) if shutil.which(tool, path=path) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES.get(tool, tool) for tool in missing}))
        raise MachineError(f"The lab needs {', '.join(missing)}.", f"Install with: apt-get install {packages}")
    if not Path("/proc/self/ns/net").exists():
        raise MachineError("This kernel has no network namespaces.", "Use a kernel with CONFIG_NET_NS.")
