# SPDX-License-Identifier: Apache-2.0
"""The role table, who is behind a connection, and what each role may do."""

from __future__ import annotations

import os
import socket
import stat
import string
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lictl.errors import RefusedError, UsageError
from lictl.home import Home
from lictl.lab.people import APPROVER_UID, OPERATOR_UID, as_user
from lictl.people import permits
from lictl.people.actor import Actor, Peer, actor, peer_of, this_process
from lictl.people.roles import Role, Roles, check_user, number, read_grants, role

if TYPE_CHECKING:
    from pathlib import Path

O, A, U, C = Role.OPERATOR, Role.APPROVER, Role.AUDITOR, Role.COLLECTOR_ADMIN  # noqa: E741

# Each operation with the roles of which one is enough.
EXPECTED = {
    "ping": {O, A, U, C}, "status": {O, A, U, C}, "status.finished": {O, A, U, C}, "role.list": {O, A, U, C},
    "role.grant": set(),
    "role.withdraw": set(), "agency.list": {O, A, U, C}, "agency.show": {O, A, U, C}, "agency.add": {C},
    "agency.formats": {C},
    "agency.renew": {C}, "agency.remove": {C}, "agency.keys": {C}, "warrant.list": {O, A, U}, "warrant.show": {O, A, U},
    "warrant.check": {O, A},
    "warrant.certificate": {O, A, U}, "warrant.add": {O}, "warrant.submit": {O}, "warrant.emergency": {O},
    "warrant.extend": {O}, "warrant.amend": {O}, "warrant.approve": {A}, "warrant.reject": {A},
    "warrant.resume": {A}, "warrant.withdraw": {O}, "warrant.unable": {O, A}, "warrant.able": {O, A},
    "warrant.suspend": {O, A}, "warrant.revoke": {O, A},
    "warrant.close": {O}, "warrant.destroy-key": {A}, "profile.status": {O, A, U, C}, "profile.confirm": {A},
    "report": {O, A, U}, "drill.begin": {O, A}, "drill.end": {O, A}, "audit.verify": {O, A, U}, "audit.show": {U},
    "audit.export": {U}, "audit.head": {O, A, U}, "audit.reconcile": {O, A, U},
    "audit.rotate-key": set(),
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty folder."""
    return Home(tmp_path)


def person(*roles: Role, uid: int = 1000, owner: bool = False) -> Actor:
    """Somebody."""
    return Actor(uid, str(uid), frozenset(roles), None, 1, owner)


def test_the_whole_table_of_permits() -> None:
    """What each role may do, word for word."""
    assert {op: set(roles) for op, roles in permits.PERMITS.items()} == EXPECTED


@pytest.mark.parametrize("op", sorted(EXPECTED))
def test_one_of_the_roles_is_needed_and_enough(op: str) -> None:
    """Each role by itself is judged as the table says, and a refusal names what it takes."""
    for each in Role:
        if each in EXPECTED[op]:
            permits.check(person(each), op)
        else:
            with pytest.raises(RefusedError) as caught:
                permits.check(person(each), op)
            assert all(wanted in caught.value.what for wanted in EXPECTED[op])


def test_the_owner_without_a_role_can_stop_and_verify_but_not_arm_or_read() -> None:
    """Stopping is never hard; everything else takes a person with a role."""
    owner = person(owner=True)
    for op in ("warrant.suspend", "warrant.revoke", "audit.verify", "audit.head", "audit.reconcile", "role.grant",
               "audit.rotate-key"):  # fmt: skip
        permits.check(owner, op)
    for op in ("warrant.add", "warrant.approve", "warrant.resume", "warrant.show", "audit.show", "warrant.destroy-key"):
        with pytest.raises(RefusedError):
            permits.check(owner, op)


def test_nobody_may_do_what_the_table_does_not_know() -> None:
    """An operation that was forgotten in the table is closed, also to root with every role."""
    with pytest.raises(RefusedError):
        permits.check(person(*Role, owner=True), "warrant.forgotten")


def test_nobody_can_both_submit_and_approve_with_one_role() -> None:
    """The two steps that put an order into force take two roles."""
    for each in Role:
        assert not (permits.may(person(each), "warrant.submit") and permits.may(person(each), "warrant.approve"))


def test_root_without_a_role_keeps_the_table_and_arms_nothing(home: Home) -> None:
    """Root may change who may do what, and keep agencies; it may not approve."""
    root = actor(home, Peer(0, None, 1))
    assert root.roles == {C}
    assert permits.may(root, "role.grant")
    assert not permits.may(root, "warrant.approve")


@pytest.mark.parametrize(("roles", "sees"), [((U,), False), ((C,), False), ((O,), True), ((A, U), True)])
def test_the_auditors_role_alone_sees_no_target(roles: tuple[Role, ...], sees: bool) -> None:
    """Those who handle orders see whom they name."""
    assert permits.sees_targets(person(*roles)) is sees


names = st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=20).map(lambda t: "u" + t)
tables = st.dictionaries(
    names | st.integers(0, 0xFFFF_FFFE).map(str), st.frozensets(st.sampled_from(Role), min_size=1), max_size=6
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=tables)
def test_the_table_survives_the_file(home: Home, entries: dict[str, frozenset[Role]]) -> None:
    """What is saved is loaded."""
    Roles(entries).save(home)
    assert Roles.load(home).entries == entries


def test_the_file_is_private(home: Home) -> None:
    """Mode 0600, and no half-written file beside it."""
    Roles({"1000": frozenset({O})}).save(home)
    assert stat.S_IMODE(home.roles.stat().st_mode) == 0o600
    assert [path.name for path in home.root.iterdir()] == ["roles.toml"]


def test_no_file_means_no_roles(home: Home) -> None:
    """A home of an older lictl."""
    assert Roles.load(home).entries == {}


@pytest.mark.parametrize(
    "text", ["alice", "alice = 'operator'", "alice = ['king']", "alice = [1]", "'a b' = ['operator']", "\xff = 1"]
)
def test_a_damaged_table_is_refused(home: Home, text: str) -> None:
    """Said with the file's name or the wrong word; nobody gets a role from half a file."""
    home.roles.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError):
        Roles.load(home)


def test_names_and_numbers_mean_the_same_user(home: Home) -> None:
    """root and 0: roles of both entries count, and both are withdrawn from."""
    table = Roles({}).granted("root", [O]).granted("0", [A])
    assert table.of(0) == {O, A}
    assert table.withdrawn("root", [A]).of(0) == {O}
    assert table.withdrawn("0", [O, A]).entries == {}
    assert table.of(1) == frozenset()


def test_what_a_user_does_not_have_cannot_be_withdrawn() -> None:
    """A slip of the pen is told."""
    with pytest.raises(UsageError, match="role list"):
        Roles({}).withdrawn("root", [O])


@pytest.mark.parametrize(
    "text", ["operator", "operator=", "=alice", "king=root", "operator=no-such-user", "operator=a b"]
)
def test_grants_that_cannot_be(text: str) -> None:
    """ROLE=USER with a role and a user that are there."""
    with pytest.raises(UsageError):
        read_grants([text])


def test_grants_of_init() -> None:
    """Several roles of one user are put together."""
    table = read_grants(["operator=root", "approver=64102", "auditor=root"])
    assert table.entries == {"root": {O, U}, "64102": {A}}
    assert [row["uid"] for row in table.rows()] == [64102, 0]


@pytest.mark.parametrize("user", ["", "-x", "a/b", "4294967295", "99999999999", "x" * 40, "é"])
def test_users_that_cannot_be(user: str) -> None:
    """Neither a name of this machine nor a number."""
    with pytest.raises(UsageError):
        check_user(user)


def test_words() -> None:
    """A role by name; a user of whom the machine knows nothing has no number."""
    assert role("collector-admin") is C
    assert number("no-such-user") is None


def test_this_process(home: Home) -> None:
    """Its own user, which owns the folder."""
    who = this_process(home)
    assert (who.uid, who.pid, who.owner) == (os.geteuid(), os.getpid(), True)


@pytest.mark.kernel
def test_the_kernel_says_who_connects(tmp_path: Path) -> None:
    """Two threads of one process are two users to the other end, and this thread stays who it was."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.settimeout(60)
    listener.listen()
    for uid in (OPERATOR_UID, APPROVER_UID):
        client = as_user(uid, lambda: _connected(tmp_path / "s"))
        server, _ = listener.accept()
        peer = peer_of(server)
        assert (peer.uid, peer.pid) == (uid, os.getpid())
        client.close()
        server.close()
    assert os.geteuid() == 0
    listener.close()


def _connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


@pytest.mark.kernel
def test_a_process_that_has_ended_is_nobody(tmp_path: Path) -> None:
    """Whoever connects and ends before it is asked for its session is refused: `sudo` cannot be hidden that way."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.settimeout(60)
    listener.listen()
    code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    subprocess.run([sys.executable, "-S", "-c", code, str(tmp_path / "s")], check=True, timeout=60)
    server, _ = listener.accept()
    with pytest.raises(RefusedError, match="ended"):
        peer_of(server)
    server.close()
    listener.close()


@pytest.mark.kernel
def test_files_are_seen_as_that_user_where_asked(tmp_path: Path) -> None:
    """The lab can act as a user on sockets alone, or on files too."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    assert as_user(OPERATOR_UID, secret.read_text) == "x"
    with pytest.raises(PermissionError):
        as_user(OPERATOR_UID, secret.read_text, files=True)
