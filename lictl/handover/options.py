# SPDX-License-Identifier: Apache-2.0
"""Options that an agency gives a format, as KEY=VALUE: which there are, and what each may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Free:
    """The values of an option that are too many to list.

    Attributes:
        default: where none is given.
        pattern: regular expression of the whole value.
        what: the same for people, such as "four hexadecimal digits".
    """

    default: str
    pattern: str
    what: str


def check_options(options: Mapping[str, str], allowed: Mapping[str, tuple[str, ...] | Free]) -> dict[str, str]:
    """The options with the first allowed value as each one's default.

    Raises:
        UsageError: an option or its value is not known to the format.
    """
    for name, value in options.items():
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise UsageError(f"the format has no option {name!r}.", f"Options of this format: {known}.")
        values = allowed[name]
        if isinstance(values, Free):
            if not (isinstance(value, str) and re.fullmatch(values.pattern, value)):
                raise UsageError(f"the option {name} cannot be {value!r}.", f"It is {values.what}.")
        elif value not in values:
            raise UsageError(f"the option {name} cannot be {value!r}.", f"Choose one of {', '.join(values)}.")
    return {
        name: options.get(name, values.default if isinstance(values, Free) else values[0])
        for name, values in allowed.items()
    }
