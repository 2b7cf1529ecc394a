# SPDX-License-Identifier: Apache-2.0
"""A jurisdiction's profile: the package's, or one of the site's own in ``profiles.d``."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it at run time
import hashlib
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.warrants.fields import did_you_mean, shown
from lictl.warrants.terms import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHIPPED: Final = ("us", "eu", "uk", "de", "au", "nz")
TEMPLATE: Final = "template"
FOLDER: Final = "profiles.d"
MAX_BYTES: Final = 1 << 18

Word = Annotated[str, Field(min_length=1, max_length=300)]
ProfileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Family(_Strict):
    """Handover formats that the same agencies can read."""

    title: Word
    formats: tuple[str, ...]


class Retention(_Strict):
    """How long records are kept, in words, with their source."""

    interception: Word
    records: Word
    source: Word
    confirmed: bool


class Limits(_Strict):
    """What a target may cover without an approver's confirmation."""

    ipv4_prefix: int = Field(29, ge=1, le=32)
    ipv6_prefix: int = Field(48, ge=1, le=128)
    ports: int = Field(4096, ge=1, le=65535)


class Profile(_Strict):
    """One jurisdiction.

    Attributes:
        name: how commands call it.
        title: for people.
        countries: ISO 3166-1 codes that it is for.
        time_zone: IANA name; what people read times in.
        families: handover families that its agencies read.
        authorities: kinds of authority that a warrant may name here.
        sources: the law it comes from.
        checked: when that was read.
        confirmed: False where parts come from memory.
        retention: how long records are kept.
        limits: how wide a target may be.
        digest: SHA-256 of its file, hexadecimal.
    """

    name: ProfileName
    title: Word
    countries: tuple[Country, ...]
    time_zone: str
    families: tuple[str, ...]
    authorities: tuple[str, ...] = Field(min_length=1)
    sources: tuple[Word, ...] = Field(min_length=1)
    checked: dt.date
    confirmed: bool
    retention: Retention
    limits: Limits
    digest: str

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone_of(value)
        return value

    @field_validator("families")
    @classmethod
    def _families(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [each for each in value if each not in families()]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no family of formats; there are {', '.join(families())}")
        return value


@cache
def families() -> Mapping[str, Family]:
    """Families of handover formats by name."""
    return {name: Family.model_validate(table) for name, table in tomllib.loads(_packaged("families")).items()}


def family_of(format_: str) -> str | None:
    """The family of a handover format; None where the table has none."""
    return next((name for name, family in families().items() if format_ in family.formats), None)


def names(home: Path | None = None) -> list[str]:
    """Profiles that a site can be bound to: the package's, then its own."""
    own = [] if home is None else sorted(path.stem for path in (home / FOLDER).glob("*.toml"))
    return [*SHIPPED, *(name for name in own if name not in SHIPPED)]


def load(name: str, home: Path | None = None) -> Profile:
    """A profile by its name.

    Args:
        name: of the package's, or of a file in ``profiles.d`` of the home.
        home: the site's folder; None: the package's profiles alone.

    Raises:
        UnavailableError: there is none of that name.
        RefusedError: it is the template, or a file that calls itself like a profile of the package.
        UsageError: its file is wrong, with the reason.
    """
    if name == TEMPLATE:
        raise RefusedError("The template is no jurisdiction.", f"Copy it to {FOLDER}/NAME.toml and fill it in.")
    own = None if home is None else home / FOLDER / f"{name}.toml"
    if name in SHIPPED:
        if own is not None and own.exists():
            raise RefusedError(f"{own} has the name of a profile of the package.", "Give it another name.")
        return _parse(_packaged(name).encode(), name)
    if own is None or name not in names(home):
        known = names(home)
        close = did_you_mean(name, known)
        fix = f"{close[:1].upper()}{close[1:]}There are {', '.join(known)}."
        raise UnavailableError(f"There is no profile {shown(name)}.", fix)
    try:
        data = own.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{own} cannot be read: {error.strerror}.", "See to its permissions.") from None
    return _parse(data, str(own))


def text_of(name: str, home: Path | None = None) -> str:
    """The file of a profile, the template included."""
    if name == TEMPLATE or name in SHIPPED:
        return _packaged(name)
    load(name, home)
    assert home is not None  # noqa: S101 - load has found it there
    return (home / FOLDER / f"{name}.toml").read_text()


def for_country(country: str) -> str:
    """The profile of a country that exactly one profile is for.

    Raises:
        UsageError: no profile names it.
    """
    found = [name for name in SHIPPED if country in load(name).countries]
    if len(found) != 1:
        raise UsageError(
            f"No profile is for country {country} alone.",
            f"Name one with --profile: {', '.join(SHIPPED)}; `lictl profile show template` begins one of your own.",
        )
    return found[0]


def _packaged(name: str) -> str:
    return files("lictl.profiles").joinpath(f"{name}.toml").read_text("utf-8")


@lru_cache(16)
def _parse(data: bytes, where: str) -> Profile:
    """A profile from its bytes, which are read anew each time; only their meaning is remembered."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{where} is larger than {MAX_BYTES >> 10} KiB.", "Give a profile.")
    try:
        document: dict[str, Any] = tomllib.loads(data.decode())
        profile = Profile.model_validate(document | {"digest": hashlib.sha256(data).hexdigest()})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is not TOML: {error}.", "Correct it there.") from None
    except ValidationError as error:
        first = error.errors()[0]
        at, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        fix = "`lictl profile show template` shows every key."
        raise UsageError(f"{where}: {at}: {what}.", fix) from None
    if profile.name not in (where, where.rpartition("/")[2].removesuffix(".toml")):
        raise UsageError(f"{where}: is called {profile.name}.", "Give the file and `name` the same name.")
    return profile
