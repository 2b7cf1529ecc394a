# SPDX-License-Identifier: Apache-2.0
"""What `lictl agency new` asks for: each question follows from the answers before, each answer is judged at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lictl.cli.agency_options import pem
from lictl.cli.agency_request import AgencyRequest
from lictl.cli.asking import ask, choose, say, yes
from lictl.delivery.filing import SETTINGS, Filing
from lictl.delivery.tls import VERSIONS
from lictl.errors import LictlError, UsageError
from lictl.handover.catalogue import CATALOGUE
from lictl.handover.options import Choice
from lictl.handover.registry import formats
from lictl.printable import printable
from lictl.service.agency_desk import check_agency
from lictl.service.credentials import check_certificate
from lictl.service.transports import KINDS, goes_in_tls, has_keepalives, is_reached, kinds_for, sends_events_apart
from lictl.warrants.agencies import check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lictl.handover.catalogue import Entry

_NONE = "none"
_LONGEST_NUMBER = 19


class Draft:
    """An agency as far as it was asked for; what was not yet is as it can be everywhere.

    Args:
        name: of the agency.
        request: what it begins with.

    Raises:
        UsageError: an agency cannot have the name.
    """

    def __init__(self, name: str, request: AgencyRequest) -> None:
        self._name = name
        self.request = request
        self.take()

    def take(self, **answers: Any) -> None:
        """Keeps answers, by their field of `AgencyRequest`, if `lictl agency add` would take them too.

        Raises:
            LictlError: why it would not; nothing is kept.
        """
        self.request = self._judged(answers)

    def can(self, **answers: Any) -> bool:
        """Whether it would; nothing is kept."""
        try:
            self._judged(answers)
        except LictlError:
            return False
        return True

    def _judged(self, answers: dict[str, Any]) -> AgencyRequest:
        wanted = replace(self.request, **answers)
        agency = wanted.agency(self._name)
        check(agency)
        check_agency(agency)
        return wanted


def asked(name: str, site: str, formats_of: Mapping[str, Sequence[str]]) -> AgencyRequest:
    """Asks for an agency.

    Args:
        name: of the agency.
        site: name of this site's profile.
        formats_of: by profile that the agency can have: the formats that may go from here to it.

    Raises:
        UsageError: an agency cannot have the name.
        EOFError: the input has ended.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    draft = Draft(name, AgencyRequest(host="localhost", port=1))
    _format(draft, site, formats_of)
    entry = CATALOGUE[draft.request.format]
    _way(draft, entry)
    _place(draft, entry)
    _tls(draft)
    _events(draft, entry)
    for key in entry.options:
        _option(draft, entry, key)
    why = "What seldom differs: keep-alives, ceiling, TLS 1.2, when files end, backlog. Enter leaves it as it is."
    if yes("more settings?", why):
        _more(draft)
    return draft.request


def _format(draft: Draft, site: str, by_profile: Mapping[str, Sequence[str]]) -> None:
    profiles = {name: ", ".join(known) for name, known in by_profile.items()}
    profile = choose("profile", "The agency's jurisdiction, and what it can read of this site.", profiles, site)
    headers = formats("headers")
    titles = {
        name: CATALOGUE[name].title + ("" if name in headers else "; for content orders only")
        for name in by_profile[profile]
    }
    usual = "pcapng" if "pcapng" in titles else next(iter(titles))
    chosen = choose("format", "How orders are handed over to it; ask the agency what it reads.", titles, usual)
    draft.take(profile=None if profile == site else profile, format=chosen)


def _way(draft: Draft, entry: Entry) -> None:
    kinds = {kind: KINDS[kind] for kind in kinds_for(draft.request.format)}
    kind = choose("transport", "How it gets there.", kinds, entry.transport)
    nowhere = {} if is_reached(kind) else {"host": "", "port": 0}
    draft.take(transport=kind, **nowhere)


def _place(draft: Draft, entry: Entry) -> None:
    if not is_reached(draft.request.transport):
        return
    ask("host", "The agency's receiver: name or address.", lambda answer: draft.take(host=answer))
    usual = 0 if draft.request.transport == "lictl" else entry.port
    ask("port", "Its port.", lambda answer: draft.take(port=_number(answer)), str(usual) if usual else None)


def _tls(draft: Draft) -> None:
    if not goes_in_tls(draft.request.transport):
        return
    why = "In TLS 1.3? The agency's certificate then has to name the host. There is no fall-back to plain."
    if not yes("tls", why):
        return
    why = "PEM file of the authorities that may have signed the agency's certificate; no other one counts."
    ask("tls-ca", why, lambda answer: draft.take(tls=True, tls_ca=_file(answer)))
    why = f"PEM file with the chain that this site shows to the agency, its own first; {_NONE}: it shows none."
    while not _shown(draft, ask("tls-certificate", why, _certificate, _NONE)):
        pass


def _certificate(answer: str) -> Path | None:
    if answer == _NONE:
        return None
    check_certificate(pem(_file(answer)))
    return _file(answer)


def _shown(draft: Draft, certificate: Path | None) -> bool:
    """Asks for the key. False where the two do not go together: either can be the wrong one."""
    if certificate is None:
        return True
    key = ask("tls-key", "PEM file of its private key; it is kept sealed.", _file)
    try:
        draft.take(tls_certificate=certificate, tls_key=key)
    except LictlError as error:
        say(f"  {printable(str(error))}")
        return False
    return True


def _events(draft: Draft, entry: Entry) -> None:
    request = draft.request
    if not sends_events_apart(request.transport, request.format):
        return
    host = f"[{request.host}]" if ":" in request.host else request.host
    usual = f"{host}:{entry.events_port}" if entry.events_port else _NONE
    why = f"HOST:PORT where events and header reports go (HI2, CmII, X2); {_NONE}: to the same place as content."
    ask("events", why, lambda answer: draft.take(events=None if answer == _NONE else answer), usual)


def _option(draft: Draft, entry: Entry, key: str) -> None:
    """One option of the format; where only one value could be, it is not asked for."""
    option, given = entry.options[key], draft.request.option

    def with_value(value: str) -> list[str]:
        return given if value == option.default else [*given, f"{key}={value}"]

    values = option.fix
    if isinstance(option, Choice):
        if option.only_with is not None and "=".join(option.only_with) not in given:
            return
        possible = [value for value in option.values if draft.can(option=with_value(value))]
        if possible == [option.default]:
            return
        values = f"Choices: {', '.join(possible)}."
    why = f"{option.meaning} {values}"
    ask(key, why, lambda answer: draft.take(option=with_value(answer)), option.default)


def _more(draft: Draft) -> None:
    request = draft.request
    if request.tls:
        versions = {version: f"TLS {version}" for version in sorted(VERSIONS, reverse=True)}
        draft.take(tls_min=choose("tls-min", "1.2 is for an agency that cannot do 1.3.", versions, "1.3"))
    if has_keepalives(request.transport, request.format):
        why = "Idle seconds before a keep-alive; 0: as the format says."
        ask("keepalive", why, lambda answer: draft.take(keepalive=_seconds(answer)), "0")
        why = "Seconds in which its answer has to come; 0: as the format says."
        ask("response", why, lambda answer: draft.take(response=_seconds(answer)), "0")
    if request.transport == "files":
        _files(draft)
    else:
        ask("ceiling", "Most octets a second; 0: no ceiling.", lambda answer: draft.take(ceiling=_number(answer)), "0")
    why = f"Disk space of each of its streams, such as 2G; {_NONE}: that of `lictl serve`."
    ask("backlog", why, lambda answer: draft.take(backlog="" if answer == _NONE else answer), _NONE)


def _files(draft: Draft) -> None:
    for key, why in SETTINGS.items():
        usual = str(getattr(Filing(), key))
        given = draft.request.file

        def take(answer: str, key: str = key, usual: str = usual, given: list[str] = given) -> None:
            draft.take(file=given if answer == usual else [*given, f"{key}={answer}"])

        ask(key, why, take, usual)


def _file(answer: str) -> Path:
    """A file that can be read as PEM text."""
    path = Path(answer).expanduser()
    pem(path)
    return path


def _number(answer: str) -> int:
    if not (answer.isascii() and answer.isdecimal() and len(answer) < _LONGEST_NUMBER):
        raise UsageError(f"{answer!r} is no number.", "Write a whole number, 0 or more.")
    return int(answer)


def _seconds(answer: str) -> float:
    try:
        return float(answer)
    except ValueError:
        raise UsageError(f"{answer!r} is no number of seconds.", "Write for example 60, or 2.5.") from None
