# SPDX-License-Identifier: Apache-2.0
"""`lictl agency setup-sftp`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from lictl.cli import output, state
from lictl.errors import MachineError, RefusedError
from lictl.inputs import read_text


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("setup-sftp", epilog="Example: lictl agency setup-sftp county-sheriff --key sheriff.pub --print")(setup)


def setup(
    name: Annotated[str, typer.Argument(help="Name of the agency, as warrant files write it.")],
    key: Annotated[Path, typer.Option(help="File with the agency's OpenSSH public keys, one a line.")],
    only_print: Annotated[bool, typer.Option("--print", help="Show the script and do nothing.")] = False,
    may_delete: Annotated[bool, typer.Option("--delete", help="The agency may delete what it has fetched.")] = False,
    user: Annotated[str, typer.Option(help="Unix user. Default: lictl-agency-NAME.")] = "",
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Lets an agency fetch its files over SFTP: a user of its own, locked into its outbox by OpenSSH.

    Shows the script and runs it; it may be run again, with other keys, too. sshd has to be reloaded then.
    """
    from lictl.delivery.filing import placed
    from lictl.service.administration import call
    from lictl.service.sftp import SftpAccess
    from lictl.service.users import USER
    from lictl.warrants.model import Agency

    now = state.use(home, as_json)
    agency = Agency.from_plain(call(now.home, "agency.show", name=name)["agency"])
    if agency.transport.kind != "files":
        raise RefusedError(f"agency {name} does not fetch files.", "Add it with the transport files.")
    folder = Path(placed(agency.transport, now.home.outbox / name).files["folder"])
    access = SftpAccess(name, folder, read_text(key, "a file of public keys"), may_delete, USER, user)
    script = access.script()
    if not only_print:
        _run(script)
    made = {"user": access.name, "folder": str(folder), "done": not only_print}
    done = "" if only_print else "# Done. Now: systemctl reload ssh\n"
    undo = "".join(f"#   {line}\n" for line in access.undo().splitlines())
    output.answer(
        now,
        {**made, "script": script, "undo": access.undo()},
        f"{script}{done}# To take it away again; the files stay:\n{undo}",
    )


def _run(script: str) -> None:
    if os.geteuid() != 0:
        raise MachineError("only root can set up a user and sshd.", "Use --print and let root run what it shows.")
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise MachineError(f"the script failed: {done.stderr.strip()[-500:]}", "See what it does with --print.")
