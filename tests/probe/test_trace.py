# SPDX-License-Identifier: Apache-2.0
"""Live counts of the kernel's tracepoints: they count, they hold nothing of a packet, what lacks is named."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bounded
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from lictl.cli.app import app
from lictl.errors import MachineError, UsageError
from lictl.lab import namespace
from lictl.probe import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

IFINDEX = 7301  # unlike any other interface's: counts are the whole machine's
PORT = 40404
PAYLOAD = b"\xa5\xc3PAYLOAD-OF-A-PACKET"
ABORTED, REDIRECT = 0x88B5, 0x88B6  # IEEE 802 local experimental EtherTypes
MACS = bytes.fromhex("02ac17beef01"), bytes.fromhex("02ac17beef02")
ADDRESS = "127.92.13.37"
REFUSER = f"""
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int refuse(struct xdp_md *ctx)
{{
	unsigned char *data = (void *)(long)ctx->data;
	if (data + 14 > (unsigned char *)(long)ctx->data_end)
		return XDP_PASS;
	if (*(unsigned short *)(data + 12) == bpf_htons({ABORTED}))
		return XDP_ABORTED;
	if (*(unsigned short *)(data + 12) == bpf_htons({REDIRECT}))
		return bpf_redirect(0x7ffffff0, 0);
	return XDP_PASS;
}}
char LICENSE[] SEC("license") = "GPL";
"""
KEYS = {
    "xdp_exceptions": {"ifindex", "interface", "action", "count"},
    "redirect_errors": {"ifindex", "interface", "error", "count"},
    "drops": {"reason", "count"},
    "polls": {"interface", "polls", "packets", "full"},
    "net_rx_softirqs": {"cpu", "count"},
}


@pytest.fixture(scope="module")
def space(netns_prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace with a wire whose far end refuses frames by their EtherType."""
    name = f"{netns_prefix}trace"
    folder = tmp_path_factory.mktemp("refuser")
    (folder / "refuse.c").write_text(REFUSER)
    include = ["-I/usr/include/x86_64-linux-gnu", "-I/usr/include/aarch64-linux-gnu"]
    compiler = ["clang", "-O2", "-g", "-target", "bpf", *include, "-c", "refuse.c", "-o", "refuse.o"]
    subprocess.run(compiler, cwd=folder, check=True, timeout=60)
    namespace.create(name)
    try:
        for line in (
            "link set lo up",
            f"link add trb index {IFINDEX} type veth peer name tra",
            f"link set dev trb xdp obj {folder}/refuse.o sec xdp",
            "link set trb up",
            "link set tra up",
        ):
            subprocess.run(namespace.command(name, ["ip", *line.split()]), check=True, timeout=30)
        yield name
    finally:
        namespace.remove([name])


@pytest.fixture(scope="module")
def seen(space: str) -> tuple[dict[str, Any], str, int]:
    """What the command printed (as JSON, and as text with its standard error), and how often each frame was sent."""
    done = threading.Event()
    rounds = 0

    def send() -> None:
        nonlocal rounds
        with namespace.packet_socket(space, "tra") as wire, namespace.inside(space, _datagrams) as datagrams:
            while not done.wait(0.02):
                for kind in (ABORTED, REDIRECT):
                    wire.send(b"".join(MACS) + kind.to_bytes(2, "big") + PAYLOAD + bytes(46))
                datagrams.sendto(PAYLOAD, (ADDRESS, PORT))
                rounds += 1

    traffic = threading.Thread(target=send, daemon=True)
    traffic.start()
    try:
        command = [sys.executable, "-m", "lictl", "--json", "doctor", "--watch", "1.5"]
        ran = subprocess.run(namespace.command(space, command), capture_output=True, text=True, timeout=200)
    finally:
        done.set()
        bounded.join(traffic)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), ran.stdout + ran.stderr, rounds


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _counts(rows: list[dict[str, Any]], word: str) -> dict[str, int]:
    return {row[word]: row["count"] for row in rows if row["ifindex"] == IFINDEX}


@pytest.mark.net
@pytest.mark.kernel
def test_xdp_exceptions_are_counted_by_interface_and_action(seen: tuple[dict[str, Any], str, int]) -> None:
    """Frames that the program aborted, under the interface's name; never more than were sent."""
    found, _, rounds = seen
    assert {row["interface"] for row in found["xdp_exceptions"] if row["ifindex"] == IFINDEX} == {"trb"}
    aborted = _counts(found["xdp_exceptions"], "action")
    assert 0 < aborted["ABORTED"] <= rounds


@pytest.mark.net
@pytest.mark.kernel
def test_redirect_errors_are_counted_by_cause(seen: tuple[dict[str, Any], str, int]) -> None:
    """A frame that is redirected to an interface that is not there has an error with a name."""
    found, _, rounds = seen
    assert _counts(found["redirect_errors"], "error").keys() == {"EINVAL"}
    assert 0 < _counts(found["redirect_errors"], "error")["EINVAL"] <= rounds


@pytest.mark.net
@pytest.mark.kernel
def test_drops_are_counted_by_the_kernels_own_reasons(seen: tuple[dict[str, Any], str, int]) -> None:
    """A datagram to a port at which nobody listens is NO_SOCKET; every other reason has a name too."""
    found, _, _ = seen
    drops = {row["reason"]: row["count"] for row in found["drops"]}
    assert drops["NO_SOCKET"] > 0
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+|0x[0-9a-f]{5,}", reason) for reason in drops), drops


@pytest.mark.net
@pytest.mark.kernel
def test_polls_and_softirqs_are_counted(seen: tuple[dict[str, Any], str, int]) -> None:
    """The wire's end was polled for what was sent; receiving was asked for on some CPU; nothing went uncounted."""
    found, _, _ = seen
    polled = [row for row in found["polls"] if row["interface"] == "trb"]
    assert len(polled) == 1
    assert polled[0]["polls"] > 0
    assert 0 <= polled[0]["full"] <= polled[0]["polls"]
    assert polled[0]["packets"] > 0
    assert len(found["net_rx_softirqs"]) >= (os.cpu_count() or 1)
    assert sum(row["count"] for row in found["net_rx_softirqs"]) > 0
    assert found["uncounted"] == 0
    assert 1.5 <= found["seconds"] < 60


@pytest.mark.net
@pytest.mark.kernel
def test_nothing_of_a_packet_is_in_the_output(seen: tuple[dict[str, Any], str, int]) -> None:
    """No address, no MAC, no port, no byte of the payload; exactly the promised fields, each a count or a name."""
    found, text, _ = seen
    assert found.keys() == {"seconds", "uncounted", *KEYS}
    for name, keys in KEYS.items():
        assert all(row.keys() == keys for row in found[name]), name
    lowered = text.lower()
    for secret in (ADDRESS, str(PORT), "payload", PAYLOAD.hex(), *(mac.hex() for mac in MACS)):
        assert secret not in lowered
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]{2}(:[0-9a-f]{2}){5}|0x[0-9a-f]{8,}", lowered)


@pytest.mark.net
@pytest.mark.kernel
def test_interfaces_narrow_the_rows(seen: tuple[dict[str, Any], str, int]) -> None:
    """Only those asked for stay; drops and softirqs, which no interface is known of, stay as they are."""
    found = TypeAdapter(trace.Observation).validate_python(seen[0])
    narrow, nothing = found.only(["trb"]), found.only(["other"])
    assert {row.interface for row in (*narrow.xdp_exceptions, *narrow.redirect_errors, *narrow.polls)} == {"trb"}
    assert (nothing.xdp_exceptions, nothing.redirect_errors, nothing.polls) == ([], [], [])
    assert (nothing.drops, nothing.net_rx_softirqs) == (found.drops, found.net_rx_softirqs)


@pytest.mark.kernel
def test_nothing_stays_mounted_and_people_get_tables() -> None:
    """Where tracefs was not mounted it is not mounted afterwards either; without --json there is a table each."""
    before = Path("/proc/mounts").read_text()
    result = CliRunner().invoke(app, ["doctor", "--watch", "0.2"])
    assert result.exit_code == 0, result.output
    assert "NET_RX softirqs" in result.stdout
    assert "drops, whole machine" in result.stdout
    tracing = [line for line in Path("/proc/mounts").read_text().splitlines() if "tracefs" in line]
    assert tracing == [line for line in before.splitlines() if "tracefs" in line]


@pytest.mark.kernel
@pytest.mark.parametrize("interpreter", [sys.executable, "/nonexistent/python3"])
def test_without_bcc_the_packages_are_named(interpreter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that has no bcc, or none at all: exit code 6 and what to install."""
    monkeypatch.setattr(trace, "SYSTEM_PYTHON", Path(interpreter))
    result = CliRunner().invoke(app, ["--json", "doctor", "--watch", "1"])
    with pytest.raises(MachineError, match="bcc is not there") as caught:
        trace.watch(1)
    assert caught.value.fix.startswith(f"apt-get install {trace.packages()} ")
    assert re.match(r"python3-bpfcc linux-headers-\w+$", trace.packages())
    assert result.exit_code == 6
    assert json.loads(result.stderr)["error"] == {"what": caught.value.what, "fix": caught.value.fix, "code": 6}


@pytest.mark.kernel
def test_without_headers_the_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the running kernel's nor any other; a folder that is given and holds none is named."""
    monkeypatch.delenv("BCC_KERNEL_SOURCE", raising=False)
    monkeypatch.setattr(trace, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(trace, "SOURCES", tmp_path)
    (tmp_path / "linux-headers-6.1.0-1-amd64").mkdir()
    with pytest.raises(MachineError, match="no kernel headers") as caught:
        trace.watch(1)
    assert trace.packages() in caught.value.fix
    monkeypatch.setenv("BCC_KERNEL_SOURCE", str(tmp_path))
    with pytest.raises(MachineError, match=re.escape(str(tmp_path))):
        trace.headers()


def _headers(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def test_headers_in_one_folder_or_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest that are whole; Debian's two folders are put together by flags; the running kernel's own go first."""
    monkeypatch.delenv("BCC_KERNEL_SOURCE", raising=False)
    monkeypatch.setattr(trace, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(trace, "SOURCES", tmp_path)
    old = _headers(tmp_path / "linux-headers-6.1.0-9", "include/generated/autoconf.h", "include/linux/kconfig.h")
    assert trace.headers() == (old, [])
    common = _headers(tmp_path / "linux-headers-6.1.0-10-common", "include/linux/kconfig.h")
    new = _headers(tmp_path / "linux-headers-6.1.0-10-amd64", "include/generated/autoconf.h")
    (new / "arch/x86/include/generated").mkdir(parents=True)
    assert trace.headers() == (old, [])  # the two are not tied to each other yet
    (new / "Makefile").write_text(f"include {common}/Makefile\n")
    source, flags = trace.headers()
    assert source == common
    assert {f"-I{new}/include", f"-I{new}/arch/x86/include/generated"} <= set(flags)
    monkeypatch.setenv("BCC_KERNEL_SOURCE", str(old))
    assert trace.headers() == (old, [])
    monkeypatch.delenv("BCC_KERNEL_SOURCE")
    (trace.MODULES / os.uname().release / "build").mkdir(parents=True)
    assert trace.headers() == (None, [])


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan"), float("inf")])
def test_times_have_bounds(seconds: float) -> None:
    """Neither nothing nor for ever."""
    with pytest.raises(UsageError, match="cannot be watched"):
        trace.watch(seconds)
