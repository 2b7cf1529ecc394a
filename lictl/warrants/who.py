# SPDX-License-Identifier: Apache-2.0
"""Who did an act, as the store keeps it, and when two of them are one person."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Who:
    """One person, as the control socket saw the process that spoke for it.

    Attributes:
        uid: effective user of that process.
        name: of that user; for people, nothing is decided by it.
        login_uid: the user who logged in and became `uid` (loginuid of Linux audit); None: not known.
    """

    uid: int
    name: str
    login_uid: int | None = None

    @property
    def users(self) -> frozenset[int]:
        """Every user id that stands for this person."""
        return frozenset({self.uid} if self.login_uid is None else {self.uid, self.login_uid})

    def is_same(self, other: Who) -> bool:
        """True unless they are two people for certain: one user id in common is enough to be one."""
        return bool(self.users & other.users)

    def to_json(self) -> str:
        """For the store."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Who:
        """Back from the store."""
        return cls(**json.loads(text))
