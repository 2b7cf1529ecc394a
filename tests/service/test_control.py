# SPDX-License-Identifier: Apache-2.0
"""The control socket under good and bad clients."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lictl.errors import LictlError, RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.lab.people import as_user
from lictl.people.roles import Role, Roles
from lictl.service import control, messages
from lictl.service.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.people.actor import Actor


def _refuse(actor: Actor) -> None:
    raise RefusedError("not lawful.", "get an order.")


def _break(actor: Actor) -> None:
    raise ValueError("203.0.113.7 must stay secret")


def _inner_type_error(actor: Actor) -> None:
    len(5)  # type: ignore[arg-type]


OPERATIONS: dict[str, Any] = {
    "echo": lambda actor, value: value,
    "who": lambda actor: [actor.uid, sorted(actor.roles)],
    "refuse": _refuse,
    "break": _break,
    "inner": _inner_type_error,
    "large": lambda actor: b"x" * (messages.MAX_REPLY + 1),
}


def judge(actor: Actor, op: str) -> None:
    """Root may do all; others only ask who they are."""
    if not actor.owner and op != "who":
        raise RefusedError("not you.", "")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a running control server."""
    home = Home(tmp_path)
    home.make_folder(home.run)
    return home


@pytest.fixture
def server(home: Home) -> Iterator[control.ControlServer]:
    """The server itself."""
    server = control.ControlServer(home, OPERATIONS, judge)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(home: Home, server: control.ControlServer) -> Client:
    """A client that speaks the protocol."""
    return Client(home, timeout_s=20)


def raw(home: Home) -> socket.socket:
    """A connection that can say anything."""
    connection = socket.socket(socket.AF_UNIX)
    # The kernel's limit, not the socket's own: with that one it fails at once where others wait to be taken.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 20, 0))
    connection.connect(str(home.socket))
    connection.settimeout(20)
    return connection


def test_a_value_goes_there_and_back(client: Client) -> None:
    """Nested values keep their types."""
    value = {"a": [1, "two", None, True], "b": b"\x00\xff"}
    assert client.call("echo", value=value) == value


def test_a_refusal_keeps_class_text_and_fix(client: Client) -> None:
    """The client raises what the daemon raised."""
    with pytest.raises(RefusedError) as caught:
        client.call("refuse")
    assert (caught.value.what, caught.value.fix) == ("not lawful.", "get an order.")


def test_a_defect_says_nothing_of_its_cause(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    """The message of an unforeseen exception may hold a target: neither the answer nor the log repeats it."""
    with pytest.raises(LictlError) as caught:
        client.call("break")
    assert caught.value.exit_code == 1
    captured = capfd.readouterr()
    assert "203.0.113.7" not in str(caught.value) + captured.out + captured.err


@pytest.mark.parametrize(("op", "args"), [("echo", {}), ("echo", {"value": 1, "more": 2}), ("nothing", {})])
def test_wrong_operations_and_arguments_are_usage_errors(client: Client, op: str, args: dict[str, Any]) -> None:
    """Told as such, and the server goes on."""
    with pytest.raises(UsageError):
        client.call(op, **args)
    assert client.call("echo", value=1) == 1


def test_a_type_error_further_down_is_a_defect(client: Client) -> None:
    """It is not blamed on the caller."""
    with pytest.raises(LictlError) as caught:
        client.call("inner")
    assert caught.value.exit_code == 1


def test_an_answer_that_is_too_large_closes_the_connection(client: Client) -> None:
    """Only that connection."""
    with pytest.raises(UnavailableError):
        client.call("large")
    assert client.call("echo", value=1) == 1


def test_no_daemon(tmp_path: Path) -> None:
    """The client says how to start one."""
    with pytest.raises(UnavailableError, match="lictl serve"):
        Client(Home(tmp_path)).call("echo", value=1)


def test_the_socket_is_reachable_and_goes_with_the_server(home: Home) -> None:
    """Everybody may connect, the peer decides; a stale one is replaced; gone after stop."""
    home.socket.write_text("stale")
    server = control.ControlServer(home, OPERATIONS, judge)
    server.start()
    assert home.socket.stat().st_mode & 0o777 == 0o666
    server.stop()
    assert not home.socket.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff" + b"A" * 64,
        struct.pack(">I", messages.MAX_REQUEST + 1),
        struct.pack(">I", 5) + b"\xc1\xc1\xc1\xc1\xc1",
        struct.pack(">I", 100) + b"half",
        struct.pack(">I", 2000) + b"\x91" * 2000,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_closes_one_connection(home: Home, client: Client, data: bytes) -> None:
    """Whatever is no message: that connection ends, the next is served."""
    with raw(home) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # bytes were left unread: that is a close, too
            while connection.recv(4096):
                pass
    assert client.call("echo", value="still there") == "still there"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(min_size=1, max_size=200),
        st.recursive(
            st.none() | st.integers(-(2**63), 2**63) | st.text(max_size=8) | st.binary(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ).map(msgpack.packb),
    )
)
def test_any_body_gets_an_answer_or_a_close(home: Home, client: Client, body: bytes) -> None:
    """A framed body of any content leads to an error reply or a closed connection, and the server lives."""
    with raw(home) as connection:
        connection.sendall(struct.pack(">I", len(body)) + body)
        connection.shutdown(socket.SHUT_WR)
        try:
            reply = messages.receive(connection, 20, messages.MAX_REPLY)
        except ConnectionResetError:
            reply = None
    assert reply is None or set(reply) in ({"error"}, {"ok"})
    assert client.daemon_runs


def test_many_requests_on_one_connection(home: Home, server: control.ControlServer) -> None:
    """A client may go on asking, and get every answer in order."""
    with raw(home) as connection:
        for number in range(50):
            messages.send(connection, {"op": "echo", "args": {"value": number}}, messages.MAX_REQUEST)
            assert messages.receive(connection, 20, messages.MAX_REPLY) == {"ok": number}


def test_a_slow_sender_is_cut_off(home: Home, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a message does not hold its thread for longer than the limit."""
    monkeypatch.setattr(control, "REQUEST_SECONDS", 0.2)
    with raw(home) as connection:
        connection.sendall(struct.pack(">I", 100) + b"half")
        assert connection.recv(10) == b""
    assert client.call("echo", value=1) == 1


def test_more_clients_than_there_is_room_for(home: Home, server: control.ControlServer) -> None:
    """Those beyond the limit are closed at once; when room is free again, clients are served."""
    held = [raw(home) for _ in range(control.MAX_CLIENTS)]
    for connection in held:
        messages.send(connection, {"op": "echo", "args": {"value": 1}}, messages.MAX_REQUEST)
        assert messages.receive(connection, 20, messages.MAX_REPLY) == {"ok": 1}
    with raw(home) as extra:
        assert extra.recv(10) == b""
    for connection in held:
        connection.close()
    freed = threading.Event()
    for _ in range(200):
        try:
            if Client(home).call("echo", value=2) == 2:
                freed.set()
                break
        except UnavailableError:
            threading.Event().wait(0.05)
    assert freed.is_set()


def told(uid: int, home: Home, op: str = "who", **args: Any) -> Any:
    """What the server tells a user, or the text of its refusal."""
    try:
        return as_user(uid, lambda: Client(home).call(op, **args))
    except RefusedError as error:
        return error.what


@pytest.mark.kernel
def test_a_user_without_a_role_is_refused(home: Home, server: control.ControlServer) -> None:
    """The peer's uid decides, whatever file permissions let through; nothing else is told."""
    assert told(65534, home) == "nobody (uid 65534) has no role at this site."
    assert told(65534, home, "nothing") == "nobody (uid 65534) has no role at this site."


@pytest.mark.kernel
def test_a_role_counts_from_the_moment_it_is_given_until_it_is_taken(home: Home, server: control.ControlServer) -> None:
    """The table is read for each request; what the role does not cover is refused."""
    Roles({"64101": frozenset({Role.OPERATOR})}).save(home)
    assert told(64101, home) == [64101, ["operator"]]
    assert told(64101, home, "echo", value=1) == "not you."
    Roles({}).save(home)
    assert "no role" in told(64101, home)


@pytest.mark.kernel
def test_a_role_that_is_withdrawn_ends_within_a_connection(home: Home, server: control.ControlServer) -> None:
    """A connection that is kept open does not keep the role."""
    Roles({"64101": frozenset({Role.OPERATOR})}).save(home)
    with as_user(64101, lambda: raw(home)) as connection:
        for expected in ({"ok": [64101, ["operator"]]}, {"ok": [64101, []]}):
            messages.send(connection, {"op": "who", "args": {}}, messages.MAX_REQUEST)
            assert messages.receive(connection, 20, messages.MAX_REPLY) == expected
            Roles({}).save(home)


@pytest.mark.kernel
def test_strangers_do_not_take_the_room_of_others(home: Home, server: control.ControlServer) -> None:
    """However many connections a user without a role opens, those with one are served."""
    held = [as_user(65534, lambda: raw(home)) for _ in range(control.MAX_CLIENTS + 8)]
    assert Client(home).call("echo", value=1) == 1
    for connection in held:
        connection.close()


def test_a_daemon_that_is_busy_is_not_one_that_is_missing(home: Home) -> None:
    """Where as many connections wait as there is room for, a command waits too, then says so."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(home.socket))
        listener.listen(0)
        first.connect(str(home.socket))
        with pytest.raises(UnavailableError, match="takes no more connections"):
            Client(home, timeout_s=0.2).call("echo", value=1)


def test_a_damaged_role_table_lets_nobody_in(home: Home, server: control.ControlServer) -> None:
    """Not even root: the answer names the file."""
    home.roles.write_text("alice = operator")
    with pytest.raises(UsageError, match=r"roles\.toml"):
        Client(home).call("echo", value=1)


def test_a_home_with_a_very_long_path(tmp_path: Path) -> None:
    """Longer than a socket address can be: the socket is there all the same."""
    home = Home(tmp_path / ("long-" * 30) / ("path-" * 20))
    home.make_folder(home.run)
    server = control.ControlServer(home, OPERATIONS, judge)
    server.start()
    assert Client(home).call("echo", value=1) == 1
    server.stop()
    assert not home.socket.exists()
