# SPDX-License-Identifier: Apache-2.0
"""How many files a process may have open."""

from __future__ import annotations

import contextlib
import resource

_MOST = 1 << 20


def raise_file_limit() -> None:
    """Raises the soft limit to the hard one: each stream takes about five descriptors, Linux gives 1,024 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MOST) if hard != resource.RLIM_INFINITY else _MOST
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
