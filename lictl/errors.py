# SPDX-License-Identifier: Apache-2.0
"""Errors that a person can act on, and the exit codes they lead to.

Exit codes are part of the command line's contract: 0 done, 1 a defect of lictl,
2 the command or a file is wrong, 3 refused by rule or law, 4 something that is
needed is not there, 5 a verification failed, 6 this machine cannot do it.
"""

from __future__ import annotations

from typing import ClassVar


class LictlError(Exception):
    """What went wrong and what to do about it.

    Attributes:
        what: one sentence: what is wrong and where.
        fix: one sentence: what to do; may be empty.
        exit_code: the command's exit status.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".strip()


class UsageError(LictlError):
    """The command line or an input file is wrong."""

    exit_code = 2


class RefusedError(LictlError):
    """A rule, the law or a permission forbids it."""

    exit_code = 3


class UnavailableError(LictlError):
    """The daemon, an agency, an interface or a file is not there."""

    exit_code = 4


class IntegrityError(LictlError):
    """Stored or received data do not verify."""

    exit_code = 5


class MachineError(LictlError):
    """The kernel, a permission or the disk does not allow it."""

    exit_code = 6


BY_EXIT_CODE: dict[int, type[LictlError]] = {
    error.exit_code: error
    for error in (LictlError, UsageError, RefusedError, UnavailableError, IntegrityError, MachineError)
}
