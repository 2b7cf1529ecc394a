# SPDX-License-Identifier: Apache-2.0
"""The command tree."""

from __future__ import annotations

import typer

from lictl.cli import (
    agency,
    audit,
    certificate,
    check,
    collect,
    decode,
    demo,
    doctor,
    drill,
    new_agency,
    new_order,
    profile,
    report,
    role,
    serve,
    sftp,
    site,
    state,
    status,
    verify,
    versions,
    warrant,
)
from lictl.cli.failure import RootGroup

app = typer.Typer(
    name="lictl",
    cls=RootGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a defect of lictl, 2 wrong command or file, 3 refused, 4 something is not there, "
    "5 a verification failed, 6 this machine cannot do it, 130 interrupted.",
)


@app.callback()
def root(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Lawful intercept for an ISP: what an order names, and nothing else, to the agency it names."""
    state.begin(home, as_json)


certificate.register(warrant.app)
check.register(warrant.app)
new_order.register(warrant.app)
new_agency.register(agency.app)
sftp.register(agency.app)
app.add_typer(agency.app, name="agency")
app.add_typer(warrant.app, name="warrant")
app.add_typer(role.app, name="role")
app.add_typer(profile.app, name="profile")
app.add_typer(audit.app, name="audit")
for module in (site, serve, status, collect, decode, demo, doctor, versions, report, drill, verify):
    module.register(app)
