# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a warrant file: all of it at once."""

from __future__ import annotations

from dataclasses import dataclass

from lictl.errors import LictlError, RefusedError, UsageError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: ``table.key``, with ``[2]`` behind it for the second entry of a list; empty: the file as a whole.
        what: what is wrong.
        fix: what to do.
        unlawful: the law or a right forbids it, rather than the file being written wrongly.
    """

    where: str
    what: str
    fix: str
    unlawful: bool = False

    def __str__(self) -> str:
        return f"{self.where + ': ' if self.where else ''}{self.what}; {self.fix}"


class _Faulty(LictlError):
    """The text may name targets: it is for the operator's own terminal and stands in no log."""

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        if len(problems) == 1:
            only = problems[0]
            super().__init__(f"{name}: {only.where + ': ' if only.where else ''}{only.what}.", f"{only.fix}.")
        else:
            lines = "\n".join(f"  {problem}" for problem in problems)
            fix = "Put each of these right in the file; nothing was changed."
            super().__init__(f"{name} has {len(problems)} problems:\n{lines}", fix)
        self.problems = problems


class WarrantFileError(_Faulty, UsageError):
    """The file is written wrongly."""


class UnlawfulWarrantError(_Faulty, RefusedError):
    """The file can be read, and asks for what it may not have."""


def faulty(name: str, problems: list[Problem]) -> WarrantFileError | UnlawfulWarrantError:
    """The error for a file: unlawful as soon as one of its problems is."""
    kind = UnlawfulWarrantError if any(problem.unlawful for problem in problems) else WarrantFileError
    return kind(name, tuple(problems))
