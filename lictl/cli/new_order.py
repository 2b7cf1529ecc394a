# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant new`: asks for what an order has to say, with the rule behind each question."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lictl.cli import files, output, state
from lictl.cli.asking import ask, choose, say, to_the_end
from lictl.errors import LictlError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.warrants.authorities import Authority
    from lictl.warrants.interview import Interview, Question


def register(app: typer.Typer) -> None:
    """Adds the command to `lictl warrant`."""
    app.command("new", epilog="Example: lictl warrant new order.toml")(new)


def new(
    file: Annotated[Path, typer.Argument(help="Where the warrant file is written; for nobody else to read.")],
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Asks for what an order has to say, explains the rule behind each question, and writes the warrant file.

    Each answer is judged at once, by the same rules as the file; a wrong one is asked for again, with the reason.
    Nothing is stored or armed: give the file to `lictl warrant check` and `lictl warrant add`.
    """
    from lictl.warrants.interview import Interview

    now = state.use(home, as_json)
    if os.access(file, os.F_OK) and not replace:
        raise RefusedError(f"{file} is there already.", "Name another file, or say --replace.")
    files.require_place(file)
    kinds, agencies = _kinds(now), _agencies(now)
    with to_the_end():
        say("What the order says is asked for, not what would be convenient: copy it from the paper before you.")
        interview = Interview(_authority(kinds), kinds, agencies)
        _interview(interview)
    files.write_private(file, interview.text().encode())
    say("")
    output.answer(now, {"file": str(file)}, f"Wrote {file}.\nNext: lictl warrant check {file}")


def _interview(interview: Interview) -> None:
    """Asks everything, then again what does not go together."""
    for question in interview.questions():
        _ask(interview, question)
    while missing := interview.problems():
        say(f"\nNot complete yet: {len(missing)} to be put right.")
        for problem in missing:
            say(f"  {problem}")
        again = [question for question in interview.questions() if interview.concerns(question, missing)]
        if not again:
            raise RefusedError("the order cannot be written as it was answered.", "Begin anew.")
        for question in again:
            _ask(interview, question)


def _authority(kinds: Mapping[str, Authority]) -> Authority:
    why = (
        "On what does the interception rest? Compliance with a technical standard is no authority: name the order.\n"
        "There are, each with its law and its longest term:"
    )
    return kinds[choose("authority", why, {kind: _title(each) for kind, each in kinds.items()})]


def _title(authority: Authority) -> str:
    emergency = "; emergency" if authority.emergency else ""
    return f"{authority.title} ({authority.citation}), at most {authority.longest}{emergency}"


def _ask(interview: Interview, question: Question) -> None:
    def take(answer: str) -> None:
        if wrong := interview.answer(question, answer):
            raise UsageError(" ".join(f"{problem.what}; {problem.fix}." for problem in wrong))

    ask(question.key, f"{question.title}\n  {question.why}", take, interview.default(question) or None)


def _kinds(now: state.State) -> Mapping[str, Authority]:
    """Those under which this site may intercept; the package's where the home is another user's."""
    from lictl.service.site import read_site
    from lictl.warrants.additions import load
    from lictl.warrants.authorities import authorities

    found, country = authorities(), ""
    with contextlib.suppress(LictlError, OSError):
        found, country = load(now.home.root), read_site(now.home).country
    return {
        kind: each
        for kind, each in found.items()
        if each.arms and (not country or not each.countries or country in each.countries)
    }


def _agencies(now: state.State) -> list[str]:
    """Names of the agencies; none where nobody can be asked."""
    from lictl.service.administration import call

    with contextlib.suppress(LictlError, OSError):
        return [str(agency["name"]) for agency in call(now.home, "agency.list")]
    return []
