# SPDX-License-Identifier: Apache-2.0
"""An agency's way to its files: a user of its own, locked into its outbox by OpenSSH (sshd_config(5)), as a script.

The script is what `lictl agency setup-sftp` shows and runs; it can be run again.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from lictl.delivery.shelf import FILES, UNFINISHED
from lictl.errors import UsageError

ETC = Path("/etc/ssh")
_KIND = r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-\S+@openssh\.com)"
_KEY = re.compile(_KIND + r" [A-Za-z0-9+/=]{40,}( .*)?")
_USER = re.compile(r"[a-z][a-z0-9-]{0,31}")
_READ = "realpath,stat,lstat,fstat,open,read,close,opendir,readdir,statvfs,fstatvfs,limits"


@dataclass(frozen=True, slots=True)
class SftpAccess:
    """One agency's access.

    Attributes:
        agency: its name.
        folder: of its outbox.
        keys: text of an authorized_keys file: one public key a line.
        may_delete: it may remove files that it has fetched.
        writer: user that writes the files.
        user: the Unix user that it becomes; "": lictl-agency-NAME.
    """

    agency: str
    folder: Path
    keys: str
    may_delete: bool = False
    writer: str = "lictl-delivery"
    user: str = ""

    @property
    def name(self) -> str:
        """The Unix user, and the group of the same name.

        Raises:
            UsageError: Unix could not have such a user.
        """
        name = self.user or f"lictl-agency-{self.agency.lower().replace('_', '-').replace('.', '-')}"
        if not _USER.fullmatch(name):
            raise UsageError(f"{name} cannot be a Unix user.", "Name one of at most 32 characters with --user.")
        return name

    @property
    def lines(self) -> list[str]:
        """The keys, each without any right but the one that the session is forced to.

        Raises:
            UsageError: a line is no public key.
        """
        texts = [line.strip() for line in self.keys.splitlines()]
        keys = [text for text in texts if text and not text.startswith("#")]
        for number, key in enumerate(keys, 1):
            if not _KEY.fullmatch(key):
                raise UsageError(f"key {number} is no OpenSSH public key.", "Ask the agency for its .pub file.")
        if not keys:
            raise UsageError("there is no key in the file.", "Ask the agency for its .pub file.")
        return [f"restrict {key}" for key in keys]

    @property
    def config(self) -> str:
        """What sshd is told of this user."""
        # With -p a session asks for nothing but these: no upload, no rename, no change of modes.
        command = f"internal-sftp -d /{FILES} -p {_READ},remove" if self.may_delete else f"internal-sftp -R -d /{FILES}"
        return f"""\
# Made by lictl agency setup-sftp {self.agency}
Match User {self.name}
    ChrootDirectory {self.folder}
    ForceCommand {command}
    AuthorizedKeysFile {ETC}/lictl/{self.agency}.keys
    AuthenticationMethods publickey
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    DisableForwarding yes
    PermitTTY no
    PermitTunnel no
    PermitUserRC no
    MaxSessions 4
Match all
"""

    def script(self) -> str:
        """Sets it up; for `sh`, as root.

        Raises:
            UsageError: as of `name` and `lines`.
        """
        user, writer, folder = self.name, shlex.quote(self.writer), shlex.quote(str(self.folder))
        inner = shlex.quote(str(self.folder / FILES))
        work = shlex.quote(str(self.folder / UNFINISHED))
        mode = "2770" if self.may_delete else "2750"
        keys = f"{ETC}/lictl/{self.agency}.keys"
        return f"""\
set -eu
# A user of its own, without a shell or a home; its group reads the outbox. The password * is none, but does not lock
# the user out: sshd without PAM refuses users that useradd locked.
getent group {user} >/dev/null || groupadd --system {user}
getent passwd {user} >/dev/null || useradd --system --gid {user} --home-dir / --no-create-home \\
    --shell /usr/sbin/nologin --password '*' {user}
# sshd locks a session into a folder only where root alone could have put something in its place.
install -d -m 0755 -o root -g root {folder}
install -d -m {mode} -o {writer} -g {user} {inner}
# Files get their group while they are written; the folder is closed to that group all the same.
install -d -m 2700 -o {writer} -g {user} {work}
chgrp -R {user} {inner} {work}
find {inner} -type d -exec chmod {mode} {{}} +
find {work} -type d -exec chmod 2700 {{}} +
# The agency's keys, in a file that the agency cannot change.
install -d -m 0755 -o root -g root {ETC}/lictl
printf '%s\\n' {" ".join(shlex.quote(line) for line in self.lines)} >{keys}
chmod 0644 {keys}
# Read alone, no forwarding, no terminal.
cat >{ETC}/sshd_config.d/lictl-{self.agency}.conf <<'END'
{self.config}END
chmod 0644 {ETC}/sshd_config.d/lictl-{self.agency}.conf
# Nothing counts before sshd has read it: a mistake must not lock the administrator out.
mkdir -p /run/sshd
sshd -t
"""

    def undo(self) -> str:
        """Takes the access away and leaves the files."""
        return f"""\
rm -f {ETC}/sshd_config.d/lictl-{self.agency}.conf {ETC}/lictl/{self.agency}.keys
systemctl reload ssh
userdel {self.name}
"""
