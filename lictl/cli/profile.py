# SPDX-License-Identifier: Apache-2.0
"""`lictl profile`: under whose law the site works."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lictl.cli import output, state

app = typer.Typer(no_args_is_help=True, help="Jurisdiction profiles, and the lock that binds this site to one.")

Name = Annotated[str | None, typer.Argument(help="Name of a profile; without it the one of this site.")]


@app.command("list", epilog="Example: lictl profile list")
def show_all(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Lists the profiles that a site can be bound to: the package's, and those of profiles.d in the home."""
    from lictl.profiles import profile

    now = state.use(home, as_json)
    found = [profile.load(name, now.home.root) for name in profile.names(now.home.root)]
    if now.as_json:
        output.emit([each.model_dump(mode="json") for each in found])
        return
    rows = [(each.name, each.title, ", ".join(each.countries), ", ".join(each.families)) for each in found]
    output.console().print(output.table(["PROFILE", "JURISDICTION", "COUNTRIES", "FORMATS"], rows))


@app.command("show", epilog="Example: lictl profile show uk")
def show(name: Name = None, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Shows a profile with the authorities that it knows. `template` begins a profile of your own."""
    from lictl.profiles import profile, site_lock
    from lictl.service.guard import find_home

    now = state.use(home, as_json)
    if name == profile.TEMPLATE:
        output.console().print(profile.text_of(name), markup=False)
        return
    found = site_lock.bound_profile(find_home(now.home)) if name is None else profile.load(name, now.home.root)
    kinds = _kinds(now, found.authorities)
    if now.as_json:
        output.emit(found.model_dump(mode="json") | {"kinds": kinds})
        return
    unconfirmed = "" if found.confirmed else " (unconfirmed)"
    output.console().print(
        f"{found.name}: {found.title}, for {', '.join(found.countries)}\n"
        f"formats: {', '.join(found.families)}\n"
        f"time zone: {found.time_zone}\n"
        f"record of an interception is kept: {found.retention.interception}\n"
        f"subscriber records are kept: {found.retention.records} ({found.retention.source})\n"
        f"sources: {', '.join(found.sources)}, read {found.checked}{unconfirmed}\n",
        markup=False,
    )
    rows = [(each["kind"], each["title"], each["longest"], ", ".join(each["modes"]) or "never armed", each["citation"])
            for each in kinds]  # fmt: skip
    output.console().print(output.table(["AUTHORITY", "WHAT", "LONGEST TERM", "MODES", "LAW"], rows))


@app.command("status", epilog="Example: lictl profile status")
def status(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Says what this site is bound to, and whether host, profile and law are still the same."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    found = call(now.home, "profile.status")
    output.answer(now, found, _text(found))


@app.command("confirm", epilog='Example: lictl profile confirm --reason "mainboard replaced, ticket 4711"')
def confirm(
    reason: Annotated[str, typer.Option(help="Why; it is kept in the lock and in the audit chain.")],
    profile: Annotated[str | None, typer.Option(help="Bind to another profile.")] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Binds the site to what it is now. Takes an approver; until then nothing is armed."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    found = call(now.home, "profile.confirm", reason=reason, profile_name=profile)
    output.answer(now, found, f"Confirmed.\n{_text(found)}")


def _kinds(now: state.State, names: tuple[str, ...]) -> list[dict[str, Any]]:
    from lictl.warrants.additions import load

    kinds = load(now.home.root)
    return [
        {
            "kind": each.kind,
            "title": each.title,
            "citation": each.citation,
            "longest": each.longest,
            "modes": sorted(each.modes),
            "requires": list(each.requires),
            "emergency": each.emergency,
            "confirmed": each.confirmed,
            "origin": each.origin,
        }
        for name in names
        if (each := kinds.get(name)) is not None
    ]


def _text(found: dict[str, Any]) -> str:
    lines = ["The site is bound to no profile that holds."]
    if found["lock"] is not None:
        lock = found["lock"]
        by = lock["bound"]["by"].get("name", "?")
        lines = [f"Bound to profile {lock['profile']}, country {lock['country']}, by {by} at {lock['bound']['time']}: "
                 f"{lock['bound']['reason']}"]  # fmt: skip
    lines += [f"changed: {each['what']}: was {each['was']}, is {each['now']}" for each in found["changes"]]
    if found["arms"]:
        lines.append("Host, profile and law are as they were bound.")
    else:
        lines.append("Nothing is armed until an approver confirms it with `lictl profile confirm --reason ...`.")
    return "\n".join(lines)
