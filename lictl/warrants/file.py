# SPDX-License-Identifier: Apache-2.0
"""Reads a warrant file: TOML text to a WarrantFile, or to everything that is wrong with it.

docs/warrant-file.md is the reference.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from lictl.errors import UnavailableError
from lictl.inputs import unreadable
from lictl.warrants.authorities import authorities, in_force
from lictl.warrants.fields import did_you_mean, shown
from lictl.warrants.law import check
from lictl.warrants.problems import Problem, faulty
from lictl.warrants.tables import AuthorityTable, DeliveryTable, InterceptTable, WarrantFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from lictl.warrants.authorities import Authority

MAX_BYTES: Final = 1 << 20
"""Largest warrant file."""

_TABLES: Final = ("authority", "intercept", "delivery")
# The TOML reader needs quadratic time for a key of very many dotted parts; no key here has any.
_DEEP_KEY = re.compile(r"(?:\.[ \t]*[\w\"'-]{1,64}[ \t]*){32}")
# It also cuts times off behind microseconds, which would move an end.
_FINE_TIME = re.compile(r"\b(signed_at|starts|ends)[ \t]*=[ \t]*[0-9T: t-]+\.[0-9]{7,}")
# Nor does it read the 60th second, and says only that the line is wrong.
_LEAP = re.compile(r"\b(signed_at|starts|ends)[ \t]*=[ \t]*[0-9T: t-]+:60(?![0-9])")
_NOTHING_ELSE: Final = f"a warrant file has the tables {', '.join(_TABLES)}"


def load(source: Path | str, now_ns: int, name: str = "", kinds: Mapping[str, Authority] | None = None) -> WarrantFile:
    """The order that a file holds.

    Args:
        source: the file, or (a str) its text.
        now_ns: UTC nanoseconds, to judge what is past.
        name: how errors call the file; empty: its path, or "the warrant file".
        kinds: the site's authorities (`lictl.warrants.additions.load`); None: the package's.

    Raises:
        WarrantFileError: (a UsageError) it is written wrongly; all its problems at once.
        UnlawfulWarrantError: (a RefusedError) it asks for what it may not have; all its problems at once.
        UnavailableError: it cannot be read.
    """
    name = name or (str(source) if isinstance(source, Path) else "the warrant file")
    text = _read(source, name) if isinstance(source, Path) else _bounded(source, name)
    with in_force(authorities() if kinds is None else kinds):
        return _judge(_toml(text, name), text, now_ns, name)


def _judge(document: dict[str, Any], text: str, now_ns: int, name: str) -> WarrantFile:
    broken: set[str] = set()
    problems = [
        Problem(shown(key)[1:-1], "is unknown", did_you_mean(key, _TABLES) + _NOTHING_ELSE)
        for key in document
        if key not in _TABLES
    ]
    authority = _table(AuthorityTable, document.get("authority"), "authority", problems, broken)
    intercept = _table(InterceptTable, document.get("intercept"), "intercept", problems, broken)
    deliveries = _deliveries(document.get("delivery"), problems, broken)
    problems += check(authority, intercept, deliveries, frozenset(broken), now_ns)
    if problems:
        raise faulty(name, sorted(problems, key=_place))
    return WarrantFile.model_validate(document | {"text": text})


def _read(path: Path, name: str) -> str:
    try:
        if not path.is_file():
            raise UnavailableError(f"{name} is no file.", "Name a warrant file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(name, error, "a warrant file") from None
    if len(data) > MAX_BYTES:
        raise faulty(name, [Problem("", "is larger than 1 MiB", "give a warrant file")])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise faulty(name, [Problem("", f"is not UTF-8 at byte {error.start}", "save it as UTF-8 text")]) from None


def _bounded(text: str, name: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise faulty(name, [Problem("", "is larger than 1 MiB", "give a warrant file")])
    return text


def _toml(text: str, name: str) -> dict[str, Any]:
    if _DEEP_KEY.search(text):
        raise faulty(name, [Problem("", "has a key of more than 32 dotted parts", _NOTHING_ELSE)])
    fine = _FINE_TIME.search(text)
    if fine:
        fix = 'write it in quotes, such as "2026-03-01T12:00:00.123456789Z"'
        raise faulty(name, [Problem(fine[1], "has more than six digits behind the second", fix)])
    leap = _LEAP.search(text)
    if leap:
        fix = "write second 59, or the first second of the minute behind it"
        raise faulty(name, [Problem(leap[1], "has a second 60: no system clock shows leap seconds", fix)])
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise faulty(name, [Problem("", f"is not TOML: {_plain(error)}", "correct it there")]) from None
    except RecursionError:
        raise faulty(name, [Problem("", "is nested too deeply", _NOTHING_ELSE)]) from None


def _plain(error: Exception) -> str:
    return str(error)[:200].encode("unicode_escape").decode()


def _table(
    model: type[BaseModel], table: object, where: str, problems: list[Problem], broken: set[str]
) -> dict[str, Any]:
    """The fields of a table that can be read; what cannot goes to `problems`, and its key to `broken`."""
    if table is None:
        problems.append(_missing_table(where))
        return {}
    if not isinstance(table, dict):
        problems.append(Problem(where, "is not a table", f"write [{where}] and its keys below"))
        return {}
    for key in table:
        if key not in model.model_fields:
            known = ", ".join(model.model_fields)
            fix = f"{did_you_mean(key, model.model_fields)}known are {known}"
            problems.append(Problem(f"{where}.{shown(key)[1:-1]}", "is unknown", fix))
    values: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        if key in table:
            try:
                values[key] = _adapter(model, key).validate_python(table[key])
            except ValidationError as error:
                problems += _problems(f"{where}.{key}", error, table[key])
                broken.add(f"{where}.{key}")
                values[key] = _readable(key, table[key])
        elif field.is_required():
            example = (field.examples or [""])[0]
            problems.append(Problem(f"{where}.{key}", f"is missing ({field.description})", f"write {key} = {example}"))
    return values


def _readable(key: str, value: object) -> Any:
    """What can still be compared of a broken field: those targets that can be read, None in place of the others."""
    if key != "targets" or not isinstance(value, list):
        return None if key != "targets" else ()
    adapter = _adapter(InterceptTable, "targets")
    kept = []
    for each in value:
        try:
            kept.append(adapter.validate_python([each])[0])
        except ValidationError:
            kept.append(None)
    return tuple(kept)


@cache
def _adapter(model: type[BaseModel], key: str) -> TypeAdapter[Any]:
    field = model.model_fields[key]
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[(annotation, *field.metadata)] if field.metadata else annotation)


def _missing_table(where: str) -> Problem:
    if where == "authority":
        return Problem(where, "is missing: nothing is intercepted without one", "write [authority]", unlawful=True)
    return Problem(where, "is missing", f"write [{where}] and its keys below")


def _problems(where: str, error: ValidationError, value: object) -> list[Problem]:
    """What pydantic found in one field, in our words."""
    ours = [details for details in error.errors() if details["type"] == "lictl"]
    if ours:
        return [
            Problem(where + _index(details["loc"]), context["what"], context["fix"], context["unlawful"])
            for details in ours
            for context in (details["ctx"],)
        ]
    if any(details["type"] == "too_short" for details in error.errors()):
        return [Problem(where, "is empty", "name at least one")]
    return [Problem(where, f"is {'text' if isinstance(value, str) else 'no list'}", 'write a list: ["...", "..."]')]


def _index(location: tuple[int | str, ...]) -> str:
    """Where in a list, counted from 1 as people do."""
    return "".join(f"[{at + 1}]" for at in location if isinstance(at, int))


def _deliveries(value: object, problems: list[Problem], broken: set[str]) -> list[dict[str, Any]]:
    if value is None or value == []:
        problems.append(Problem("delivery", "is missing: somebody must receive", "write [[delivery]], agency = NAME"))
        return []
    if not isinstance(value, list):
        problems.append(Problem("delivery", "is not a list of tables", "write [[delivery]], with two brackets"))
        return []
    return [_table(DeliveryTable, each, f"delivery[{index}]", problems, broken) for index, each in enumerate(value, 1)]


def _place(problem: Problem) -> int:
    """Problems stand in the order of the file's tables; those of a table in the order in which they were found."""
    table = re.split(r"[.\[]", problem.where, maxsplit=1)[0]
    return _TABLES.index(table) if table in _TABLES else -1
