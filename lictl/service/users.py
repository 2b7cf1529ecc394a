# SPDX-License-Identifier: Apache-2.0
"""The user that talks to agencies."""

from __future__ import annotations

import os
import pwd

USER = "lictl-delivery"
# Where that user was not made: a number that Debian gives to nobody (policy 9.2.2: 60000-64999 is allocated on demand).
FALLBACK_UID = 60971


def delivery_uid() -> int | None:
    """The user that talks to agencies; None where this process cannot become another one."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(USER).pw_uid
    except KeyError:
        return FALLBACK_UID
