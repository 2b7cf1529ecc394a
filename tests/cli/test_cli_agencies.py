# SPDX-License-Identifier: Apache-2.0
"""`lictl agency`: ways that cannot work are refused with what to write instead; keys; a test by each transport."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from test_cli_commands import answer, failure, lictl

from lictl.audit.read import entries
from lictl.collection.listening import server_context
from lictl.collection.receiver import Receiver
from lictl.home import Home

sys.path.append(str(Path(__file__).parent.parent / "delivery"))
from authority_kit import Authority


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of a jurisdiction that reads every family of formats."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LICTL_HOME", str(folder))
    lictl("init", "--operator", "ISP", "--element", "box", "--country", "DE")
    return folder


def add(name: str, format_: str, *arguments: str, port: int = 9) -> tuple[str, ...]:
    """Arguments that add an agency."""
    return ("agency", "add", name, "--host", "127.0.0.1", "--port", str(port), "--format", format_, *arguments)


@pytest.mark.parametrize(
    ("format_", "arguments", "what", "fix"),
    [
        ("tzsp", ("--transport", "tcp"), "made of datagrams", "--transport udp"),
        ("pcapng", ("--transport", "udp"), "does not go over UDP", "--transport tcp or lictl"),
        ("msgpack", ("--transport", "tcp"), "after a reconnection", "lictl or files"),
        ("etsi-102232", ("--transport", "udp"), "does not go over UDP", "--transport tcp or lictl"),
        ("tzsp", ("--transport", "udp", "--tls"), "TLS does not go over udp", "tcp or lictl"),
        ("pcapng", ("--tls",), "needs the authority", "--tls-ca"),
        ("pcapng", ("--transport", "pigeon"), "no transport", "lictl, tcp, udp, files"),
        ("pcapng", ("--events", "192.0.2.1:41817"), "events of their own", "leave --events out"),
        ("etsi-102232", ("--transport", "tcp", "--events", "nowhere"), "not HOST:PORT", "192.0.2.10:41817"),
        ("pcapng", ("--transport", "tcp", "--keepalive", "5"), "no keep-alives", "leave --keepalive"),
        ("pcapng", ("--file", "seconds=60"), "go with the transport files", "--transport files"),
        ("pcapng", ("--transport", "files"), "is not connected to", "Leave --host and --port out"),
        ("pcapng", ("--tls", "--tls-ca", "/dev/null", "--tls-min", "1.1"), "no TLS 1.1", "1.2, 1.3"),
        ("pcapng", ("--backlog", "much"), "not a size", "10G"),
        ("etsi-102232", ("--transport", "tcp", "--events", "h:" + "9" * 5000), "not HOST:PORT", "192.0.2.10:41817"),
        ("pcapng", ("--ceiling", "9" * 30), "a number of octets a second up to", "0 for none"),
        ("pcapng", ("--backlog", "64K"), "holds no block", "--backlog 1M"),
        ("etsi-102232", ("--option", "integrity=md5"), "integrity", "sha256"),
    ],
)
def test_ways_that_cannot_work(home: Path, format_: str, arguments: tuple[str, ...], what: str, fix: str) -> None:
    """Refused with exit code 2, the reason and what to write instead; nothing is added."""
    error = failure(*add("a", format_, *arguments), code=2)
    assert what in error["what"]
    assert fix in error["fix"]
    assert answer("agency", "list") == []


def test_settings_of_files_that_cannot_be(home: Path) -> None:
    """Refused with those that there are."""
    error = failure("agency", "add", "a", "--transport", "files", "--file", "hours=2", code=2)
    assert "no setting 'hours'" in error["what"]
    assert "seconds" in error["fix"]


def test_certificates_that_cannot_work(home: Path, tmp_path: Path) -> None:
    """A key of another certificate, an expired one, a certificate without its key: refused before anything is kept."""
    ours = Authority(tmp_path, "ca")
    certificate, key = ours.issue("operator")
    _, other = ours.issue("other")
    old, old_key = ours.issue("old", days=-1)
    base = ("--tls", "--tls-ca", str(ours.file), "--tls-certificate")
    assert "not that of" in failure(*add("a", "text", *base, str(certificate), "--tls-key", str(other)), code=2)["what"]
    locked = tmp_path / "locked.key"
    secret_of = serialization.load_pem_private_key(key.read_bytes(), None)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(secret_of.private_bytes(*form, serialization.BestAvailableEncryption(b"x")))
    assert "password" in failure(*add("a", "text", *base, str(certificate), "--tls-key", str(locked)), code=2)["what"]
    broken = tmp_path / "broken.pem"
    broken.write_bytes(certificate.read_bytes() + old.read_bytes())
    assert "no chain" in failure(*add("a", "text", *base, str(broken), "--tls-key", str(key)), code=2)["what"]
    assert "expired" in failure(*add("a", "text", *base, str(old), "--tls-key", str(old_key)), code=2)["what"]
    assert "go together" in failure(*add("a", "text", *base, str(certificate)), code=2)["what"]
    assert "cannot be read" in failure(*add("a", "text", *base, str(tmp_path / "no")), code=4)["what"]
    added = answer(*add("a", "text", *base, str(certificate), "--tls-key", str(key)))
    assert added["transport"]["key"] == ""
    secret = key.read_text().splitlines()[1]
    for path in home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), f"{path} holds the private key"
    assert "TLS 1.3+" in lictl("agency", "list").stdout


def test_credentials_are_renewed(home: Path, tmp_path: Path) -> None:
    """What is given takes the old one's place, without the key in the chain; what cannot work is refused."""
    ours, theirs = Authority(tmp_path, "ca"), Authority(tmp_path, "their")
    certificate, key = ours.issue("operator", days=2)
    new, new_key = ours.issue("new", days=90)
    lictl(*add("a", "text", "--tls", "--tls-ca", ours.file, "--tls-certificate", certificate, "--tls-key", key))
    lictl(*add("plain", "text"))
    old, old_key = ours.issue("old", days=-1)
    ended = Authority(tmp_path, "ended", days=-1).file

    def refused(*arguments: object, name: str = "a", code: int = 2) -> str:
        return str(failure("agency", "renew", name, *map(str, arguments), code=code)["what"])

    before = answer("agency", "list")
    assert "nothing new" in refused()
    assert "nothing new" in refused("--tls-ca", ours.file)
    assert "not that of" in refused("--tls-certificate", new)
    assert "needs a certificate" in refused("--tls-key", new_key)
    assert "expired" in refused("--tls-certificate", old, "--tls-key", old_key)
    assert "expired" in refused("--tls-ca", ended)
    assert "not reached in TLS" in refused("--tls-ca", ours.file, name="plain")
    refused("--tls-ca", ours.file, name="nobody", code=4)
    assert answer("agency", "list") == before
    both = tmp_path / "both.pem"
    both.write_bytes(ours.file.read_bytes() + theirs.file.read_bytes() + ended.read_bytes())
    found = answer(
        "agency", "renew", "a", "--tls-ca", str(both), "--tls-certificate", str(new), "--tls-key", str(new_key)
    )
    assert [each["subject"] for each in found["authorities"]] == ["CN=ca", "CN=their", "CN=ended"]
    assert found["transport"]["certificate"] == new.read_text()
    assert found["transport"]["key"] == ""
    again, _ = ours.issue("again", days=180, key=new_key)
    assert "our certificate until" in lictl("agency", "renew", "a", "--tls-certificate", again).stdout
    (first, _) = [entry for entry in entries(home / "audit") if entry.action == "agency.renew"]
    assert first.before is not None
    assert first.before["transport"]["certificate"] == certificate.read_text()
    assert first.after is not None
    assert first.after["transport"]["ca"] == both.read_text()
    secret = new_key.read_text().splitlines()[1].encode()
    assert not [path for path in home.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_keys_of_an_agency(home: Path, tmp_path: Path) -> None:
    """Public keys as PEM; the payload key into a new file of its owner alone, and the chain tells that it left."""
    lictl(*add("bka", "etsi-102232", "--transport", "tcp"))
    assert lictl("agency", "keys", "bka").stdout.startswith("-----BEGIN PUBLIC KEY-----")
    both = answer("agency", "keys", "bka")
    assert both["eddsa"] != both["ecdsa"]
    assert lictl("agency", "keys", "bka", "--ecdsa").stdout == both["ecdsa"]
    secret = tmp_path / "payload.key"
    lictl("agency", "keys", "bka", "--payload-key-to", secret)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(secret.read_text())) == 32
    failure("agency", "keys", "bka", "--payload-key-to", str(secret), code=3)
    failure("agency", "keys", "bka", "--payload-key-to", str(tmp_path / "none" / "key"), code=6)
    left = [entry for entry in entries(Home(home).root / "audit") if entry.action == "agency.payload-key"]
    assert len(left) == 1, "a key that had no place was not handed out"
    failure("agency", "keys", "nobody", code=4)


def test_each_way_is_tried(home: Path, tmp_path: Path) -> None:
    """lictl's protocol and ETSI's in mutual TLS are answered; plain where TLS is wanted is not; UDP is refused."""
    ours = Authority(tmp_path, "ca")
    certificate, key = ours.issue("operator")
    secure = ("--tls", "--tls-ca", str(ours.file), "--tls-certificate", str(certificate), "--tls-key", str(key))
    with Receiver(("127.0.0.1", 0), tmp_path / "r", tls=server_context(*ours.issue("agency"), ours.file)).start() as r:
        port = r.address[1]
        lictl(*add("own", "pcapng", *secure, port=port))
        lictl(*add("etsi", "etsi-102232", "--transport", "tcp", *secure, port=port))
        lictl(*add("plain", "etsi-102232", "--transport", "tcp", port=port))
        own, etsi = answer("agency", "test", "own"), answer("agency", "test", "etsi")
        assert own["version"] == 1
        assert own["tls"]["version"] == etsi["tls"]["version"] == "TLSv1.3"
        assert "answered a keep-alive" in etsi["answer"]
        failure("agency", "test", "plain", "--timeout", "2", code=4)
        assert r.progress().records == 0
    lictl("agency", "add", "files", "--transport", "files")
    told = "Agency files: fetches files, so there is nobody to connect to.\n"
    assert lictl("agency", "test", "files").stdout == told
    (row,) = [line for line in lictl("agency", "list").stdout.splitlines() if line.startswith("files ")]
    assert row.split()[:4] == ["files", "-", "-", "pcapng"]
    lictl(*add("datagrams", "tzsp", "--transport", "udp", port=9))
    assert json.loads(lictl("--json", "agency", "test", "datagrams", code=4).stderr)["error"]["code"] == 4
