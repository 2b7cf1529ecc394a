# SPDX-License-Identifier: Apache-2.0
"""Options that an agency gives a format, as KEY=VALUE: which there are, what each means, and what it may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Choice:
    """An option with few values.

    Attributes:
        values: the default first.
        meaning: one sentence for who has to choose; the format's page in docs/formats has the same.
        only_with: option and value without which it changes nothing; None: it always counts.
    """

    values: tuple[str, ...]
    meaning: str
    only_with: tuple[str, str] | None = None

    @property
    def default(self) -> str:
        """Where none is given."""
        return self.values[0]

    @property
    def fix(self) -> str:
        """What to write instead of a wrong value."""
        return f"Choose one of {', '.join(self.values)}."

    def takes(self, value: object) -> bool:
        """Whether it can be that."""
        return value in self.values


@dataclass(frozen=True, slots=True)
class Free:
    """An option whose values are too many to list.

    Attributes:
        default: where none is given.
        pattern: regular expression of the whole value.
        what: the same for people, such as "four hexadecimal digits".
        meaning: as of `Choice`.
    """

    default: str
    pattern: str
    what: str
    meaning: str

    @property
    def fix(self) -> str:
        """What to write instead of a wrong value."""
        return f"It is {self.what}."

    def takes(self, value: object) -> bool:
        """Whether it can be that."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


Option = Choice | Free


def check_options(options: Mapping[str, str], allowed: Mapping[str, Option]) -> dict[str, str]:
    """The options, with the default of each that is not given.

    Raises:
        UsageError: an option or its value is not known to the format.
    """
    for name, value in options.items():
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise UsageError(f"the format has no option {name!r}.", f"Options of this format: {known}.")
        if not allowed[name].takes(value):
            raise UsageError(f"the option {name} cannot be {value!r}.", allowed[name].fix)
    return {name: options.get(name, option.default) for name, option in allowed.items()}
