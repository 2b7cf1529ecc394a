# SPDX-License-Identifier: Apache-2.0
"""`lictl audit`: the record of what was done and read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lictl.cli import audit_source, output, state
from lictl.cli.audit_progress import Bar
from lictl.errors import IntegrityError, UsageError
from lictl.times import format_rfc3339

app = typer.Typer(no_args_is_help=True, help="The record of what was done and read: signed, linked, never changed.")

Since = Annotated[str | None, typer.Option(help="From this time on (RFC 3339 with a zone).")]
Until = Annotated[str | None, typer.Option(help="Up to, not including, this time (RFC 3339 with a zone).")]
Action = Annotated[str | None, typer.Option(help="This action, or all that begin with it where it ends with a dot.")]
Subject = Annotated[str | None, typer.Option(help="About this: an order's id, an agency.")]
Who = Annotated[str | None, typer.Option(help="By this user: name or number.")]
First = Annotated[int, typer.Option("--from", min=0, help="From the entry with this number on.")]
_INSTANTS = ("starts_ns", "ends_ns")
Head = Annotated[str, typer.Option(help="A head that was printed or noted earlier: it must stand in the record.")]


@app.command("verify", epilog="Example: lictl audit verify --head 1042-9F3K-2M7Q-X0TB-5RWE-7")
def verify(
    bundle: Annotated[Path | None, typer.Option(help="Verify this bundle, not the home.")] = None,
    key: Annotated[Path | None, typer.Option(help="The site's audit.pub, from a place you trust.")] = None,
    head: Head = "",
    thorough: Annotated[bool, typer.Option("--thorough", help="Check every earlier signature by itself too.")] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Proves that no entry was edited, removed, moved or cut off, and names the place where one was (exit code 5)."""
    now = state.use(home, as_json)
    with Bar(silent=now.as_json) as bar:
        verdict = audit_source.verified(now.home, bar.show, bundle=bundle, key=key, head=head, thorough=thorough)
    if now.as_json:
        output.emit(verdict)
        raise typer.Exit(0 if verdict["good"] else IntegrityError.exit_code)
    if verdict["faults"]:
        columns = ["KIND", "FILE", "LINE", "ENTRY", "WHAT"]
        rows = [
            [fault["kind"], fault["file"] or "-", str(fault["line"] or "-"), str(fault["entry"] or "-"), fault["what"]]
            for fault in verdict["faults"]
        ]
        output.console().print(output.table(columns, rows))
        raise IntegrityError(
            f"The record does not verify: {len(rows)} {'places' if len(rows) > 1 else 'place'}.",
            "Keep the folder as it is, compare it with an export or a backup, and find out who did it.",
        )
    anchored = f", anchored at {verdict['anchored']}" if verdict["anchored"] else "; no anchor shows a cut at its end"
    output.console().print(
        f"The record is whole: {verdict['entries']:,} entries in {verdict['files']} files, "
        f"{verdict['seconds']:.1f} s{anchored}.\nHead {verdict['head']}, key {verdict['key'][:16]}.",
        markup=False,
    )


@app.command("show", epilog="Example: lictl audit show --action warrant. --since 2026-03-01T00:00:00Z")
def show(
    last: Annotated[int, typer.Option(min=1, max=2000, help="At most so many entries, the latest of them.")] = 50,
    first: First = 0,
    since: Since = None,
    until: Until = None,
    action: Action = None,
    subject: Subject = None,
    who: Who = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Shows entries. Targets are sealed; that you looked is recorded."""
    now = state.use(home, as_json)
    conditions = {"since": since, "until": until, "action": action, "subject": subject, "who": who}
    with audit_source.opened(now.home) as ask:
        entries = ask("audit.show", count=last, first=first, **conditions)
    if now.as_json:
        output.emit(entries)
    elif not entries:
        output.console().print("No such entry.")
    else:
        columns = ["SEQ", "TIME", "WHO", "ACTION", "SUBJECT", "DETAILS"]
        rows = [
            [str(each["seq"]), each["time"], _who(each["actor"]), each["action"], each["subject"], details(each)]
            for each in entries
        ]
        output.console().print(output.table(columns, rows))


@app.command("export", epilog="Example: lictl audit export --bundle audit-2026-03.tar.gz")
def export(
    bundle: Annotated[Path | None, typer.Option(help="Write the whole chain here, to be verified elsewhere.")] = None,
    format_: Annotated[str, typer.Option("--format", help="json or csv, on standard output.")] = "json",
    first: First = 1,
    since: Since = None,
    until: Until = None,
    action: Action = None,
    subject: Subject = None,
    who: Who = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Exports entries as JSON or CSV, or the whole chain as a bundle that the public key alone verifies."""
    from lictl.audit.export import write_csv, write_json

    now = state.use(home, as_json)
    with audit_source.opened(now.home) as ask:
        if bundle is not None:
            done = audit_source.fetch_bundle(ask, bundle)
            text = (
                f"Wrote {bundle}, head {done['head']['code']}.\nElsewhere: lictl audit verify --bundle FILE --key FILE"
            )
            output.answer(now, {"bundle": str(bundle), **done}, text)
            return
        writers: dict[str, Callable[..., int]] = {"json": write_json, "csv": write_csv}
        if format_ not in writers:
            raise UsageError(f"there is no format {format_}.", "Choose json or csv, or --bundle FILE.")
        conditions = {"since": since, "until": until, "action": action, "subject": subject, "who": who}
        writers[format_](sys.stdout, audit_source.pages(ask, first, conditions))


@app.command("head", epilog="Example: lictl audit head")
def head(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Prints where the record stands as a short code: on paper, or at another place, it proves a later cut."""
    now = state.use(home, as_json)
    with audit_source.opened(now.home) as ask:
        found = ask("audit.head")
    output.answer(now, found, f"{found['code']}\nEntry {found['seq']}, key {found['key'][:16]}.")


@app.command("rotate-key", epilog="Example: lictl audit rotate-key")
def rotate_key(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Makes a new key that signs the record from now on, and destroys the old one. For root or the owner of the home.

    The old key signs that the new one follows, so the record verifies with either. Give the new audit.pub to auditors.
    """
    from lictl.service.administration import call

    now = state.use(home, as_json)
    done = call(now.home, "audit.rotate-key")
    text = (
        f"Key {done['key'][:16]} signs from entry {done['entry']} on.\n"
        f"The private key of {done['before'][:16]} is destroyed; that is recorded.\n"
        f"Give {done['file']} to those who verify: lictl audit export --bundle FILE holds it, too.\n"
        "Backups still hold the old private key: destroy those that you can."
    )
    output.answer(now, done, text)


@app.command("reconcile", epilog="Example: lictl audit reconcile")
def reconcile(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Compares kernel tables, attached programs and spools with the orders in force, now (exit code 5 on differences).

    The daemon does so by itself on start and every minute; what is foreign in the kernel tables it removes.
    """
    now = state.use(home, as_json)
    with audit_source.opened(now.home) as ask:
        found = ask("audit.reconcile")
    if now.as_json:
        output.emit(found)
    elif found["differences"]:
        rows = [[item["kind"], item["where"], item["what"], item["done"]] for item in found["differences"]]
        output.console().print(output.table(["KIND", "WHERE", "WHAT", "DONE"], rows))
    else:
        looked = ", ".join(f"{count:,} {name}" for name, count in found["compared"].items())
        output.console().print(f"All is as the orders say: {looked}.", markup=False)
    if found["differences"]:
        raise typer.Exit(IntegrityError.exit_code)


def _who(actor: dict[str, Any]) -> str:
    name, uid = actor.get("name"), actor.get("uid")
    login = actor.get("login")
    shown = str(name) if name is not None else f"uid {uid}"
    return f"{shown} (login {login})" if login and login != name else shown


def details(entry: dict[str, Any]) -> str:
    """What changed by an entry, in one line."""
    told = [(name, _with_times(entry[name])) for name in ("before", "after") if entry[name]]
    parts = [f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in told]
    return "; ".join([*parts, *(["sealed"] if entry["sealed"] else [])])


def _with_times(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of an entry with its instants as people read them: `ends_ns` in nanoseconds as `ends` in RFC 3339."""
    shown = {}
    for name, value in facts.items():
        if name in _INSTANTS and isinstance(value, int):
            shown[name.removesuffix("_ns")] = format_rfc3339(value)
        else:
            shown[name] = value
    return shown
