# SPDX-License-Identifier: Apache-2.0
"""Runs in mount and network namespaces of its own: a site, two agencies, a real sshd and the real sftp client.

/etc, /run and /srv are covered, so that users and configuration that are made here are nobody else's.
Prints what the client saw as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

WORK = Path(sys.argv[1])
HOME = Path("/srv/lictl")
NAMES = ("county", "state")


def run(*argv: str, check: bool = True, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """A command, its output as text."""
    return subprocess.run([*argv], check=check, capture_output=True, text=True, **{"timeout": 60, **kwargs})  # type: ignore[call-overload,no-any-return]


def cover() -> None:
    """Hides the machine's own folders."""
    (WORK / "upper").mkdir()
    (WORK / "work").mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/srv")
    run("mount", "-t", "tmpfs", "tmpfs", str(WORK / "upper"))
    for name in ("up", "work"):
        (WORK / "upper" / name).mkdir()
    options = f"lowerdir=/etc,upperdir={WORK}/upper/up,workdir={WORK}/upper/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, "/etc")
    run("ip", "link", "set", "lo", "up")


def site() -> None:
    """Two agencies that fetch files; the first may delete."""
    from typer.testing import CliRunner

    from lictl.cli.app import app
    from lictl.delivery.config import Transport
    from lictl.home import Home
    from lictl.lab.people import lab_roles
    from lictl.service.founding import found
    from lictl.service.guard import check_files
    from lictl.service.site import Site
    from lictl.warrants.model import Agency
    from lictl.warrants.store import Store

    home = Home(HOME)
    found(home, Site(operator="ISP-7", element="box-1", country="US"), lab_roles())
    store = Store.of(home)
    for name in NAMES:
        store.add_agency(Agency(name, "", 0, "text", {}, Transport("files")))
    store.close()
    home.make_folder(home.outbox)
    if run("getent", "passwd", "lictl-delivery", check=False).returncode:
        run("useradd", "--system", "--no-create-home", "lictl-delivery")
    for name in NAMES:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(WORK / name))
        more = ["--delete"] if name == "county" else []
        command = ["--home", str(HOME), "agency", "setup-sftp", name, "--key", str(WORK / f"{name}.pub"), *more]
        for _ in range(2):  # it may be run again
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, done.output + str(done.exception)
    check_files(home, None)  # the daemon still starts


def deliver(name: str) -> None:
    """Two finished files and one in work, written by the delivery user's process."""
    sys.path.insert(0, str(Path(__file__).parent))
    import pwd

    from delivery_kit import append, mark, open_spool, wait_for
    from outbox_kit import Agency, config_of, stream_config

    from lictl.delivery.blocks import BlockKind
    from lictl.delivery.supervisor import AgencyWorker

    uid = pwd.getpwnam("lictl-delivery").pw_uid
    folder = HOME / "spool" / name
    folder.mkdir(parents=True, mode=0o700)
    transport = config_of(folder, HOME / "outbox" / name, stream_config()).transport
    with open_spool(folder / "W-1", owner_uid=uid) as spool:
        for _ in range(3):
            mark(spool, BlockKind.OPEN, b"OPENING\n")
            append(spool, 50)
        worker = AgencyWorker(Agency(name), folder, [stream_config()], uid=uid, transport=transport)
        worker.start()
        wait_for(lambda: spool.acknowledged == 4, what="for two files")
        worker.stop()


def sftp(name: str, *commands: str, user: str = "") -> str:
    """What the client prints; each command begins with - so that a refusal does not end it."""
    options = ["-P", "2222", "-i", str(WORK / name), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
               "-o", f"UserKnownHostsFile={WORK}/known"]  # fmt: skip
    lines = "".join(f"-{command}\n" for command in commands)
    done = run("sftp", *options, "-b", "-", f"{user or f'lictl-agency-{name}'}@127.0.0.1", input=lines, check=False)
    return done.stdout + done.stderr


def main() -> None:
    """Everything, in order."""
    cover()
    site()
    for name in NAMES:
        deliver(name)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(WORK / "host"))
    own = WORK / "sshd_config"
    own.write_text(f"Port 2222\nListenAddress 127.0.0.1\nHostKey {WORK}/host\nPidFile none\n"
                   "Subsystem sftp internal-sftp\nInclude /etc/ssh/sshd_config.d/lictl-*.conf\n")  # fmt: skip
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(own)], stderr=(WORK / "sshd.log").open("w"))
    try:
        end = time.monotonic() + 20
        while "listening" not in (WORK / "sshd.log").read_text() and time.monotonic() < end:
            time.sleep(0.02)
        (WORK / "county.d").mkdir()
        found = {
            "listed": sftp("county", "ls -la /", "ls -la /files", "ls -la /.unfinished"),
            "fetched": sftp("county", f"get -r /files/* {WORK}/county.d/"),
            "outside": sftp("county", "ls /srv", "ls ../../..", "ls /etc", "get /etc/passwd /dev/null"),
            "written": sftp("county", f"put {WORK}/county.pub /files/x", "mkdir /files/y", "rename /files /z"),
            "deleted": sftp("county", "rm /files/*/*-000001-*"),
            "kept": sftp("state", "rm /files/*/*-000001-*"),
            "as_other": sftp("state", "ls /", user="lictl-agency-county"),
            "shell": run("ssh", "-p", "2222", "-i", str(WORK / "state"), "-o", "StrictHostKeyChecking=no", "-o",
                         f"UserKnownHostsFile={WORK}/known", "-o", "BatchMode=yes",
                         "lictl-agency-state@127.0.0.1", "id", check=False, timeout=20, input="").stdout,
        }  # fmt: skip
        for name in NAMES:
            found[f"left_{name}"] = "\n".join(path.name for path in (HOME / "outbox" / name / "files").rglob("*"))
    finally:
        server.terminate()
        server.wait(timeout=30)
    (WORK / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.umask(0o022)
    main()
