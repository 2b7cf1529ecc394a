# SPDX-License-Identifier: Apache-2.0
"""Keys of the site and of warrants: made once, private, and whatever was changed or moved does not open."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.errors import IntegrityError, RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.keys.sealer import OVERHEAD, Sealer, derive, seal, unseal
from lictl.keys.signer import KeySigner, public_pem, read_public_pem, signature_is_good
from lictl.keys.site import SiteKey, read_audit_public
from lictl.keys.wrapper import FileWrapper

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty private home."""
    root = tmp_path / "home"
    root.mkdir(mode=0o700)
    return Home(root)


def test_made_keys_open_again_as_the_same_keys(home: Home) -> None:
    """What was wrapped and signed after `make` opens and verifies after `open`."""
    made = SiteKey.make(home)
    wrapped = made.wrapper.wrap(KEY, b"warrant 1")
    opened = SiteKey.open(home)
    assert opened.wrapper.unwrap(wrapped, b"warrant 1") == KEY
    assert signature_is_good(read_audit_public(home), opened.signer.sign(b"head"), b"head")


def test_key_files_are_private(home: Home) -> None:
    """Folder 0700, files 0600, and nothing else is left in the home."""
    SiteKey.make(home)
    folder = home.root / "keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("site.key", "audit.key", "audit.pub"), 0o600
    )
    assert [path.name for path in home.root.iterdir()] == ["keys"]


def test_keys_are_never_overwritten(home: Home) -> None:
    """A second `make` is refused and the keys stay."""
    SiteKey.make(home)
    before = (home.root / "keys" / "site.key").read_bytes()
    with pytest.raises(RefusedError, match="exists"):
        SiteKey.make(home)
    assert (home.root / "keys" / "site.key").read_bytes() == before


def test_an_interrupted_make_is_made_again(home: Home) -> None:
    """A half-made folder of a killed `init` is no set of keys and is in nobody's way."""
    half = home.root / "keys.new"
    half.mkdir()
    (half / "site.key").write_bytes(b"half")
    with pytest.raises(UnavailableError):
        SiteKey.open(home)
    SiteKey.make(home)
    assert not half.exists()


@pytest.mark.parametrize("name", ["site.key", "audit.key", "audit.pub", "."])
def test_keys_that_others_may_read_are_refused(home: Home, name: str) -> None:
    """Modes are looked at on each open."""
    SiteKey.make(home)
    path = home.root / "keys" / name
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(RefusedError, match="not private"):
        SiteKey.open(home)


def test_a_key_that_is_a_link_is_refused(home: Home, tmp_path: Path) -> None:
    """A link would lead to a file whose mode nobody looks at."""
    SiteKey.make(home)
    path = home.root / "keys" / "site.key"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError):
        SiteKey.open(home)


@pytest.mark.parametrize("name", ["site.key", "audit.key", "audit.pub"])
def test_a_missing_key_is_not_replaced(home: Home, name: str) -> None:
    """A new key in place of a lost one would hide the loss."""
    SiteKey.make(home)
    (home.root / "keys" / name).unlink()
    with pytest.raises(UnavailableError, match=name):
        SiteKey.open(home)


@pytest.mark.parametrize("name", ["site.key", "audit.key"])
def test_damaged_keys_are_named(home: Home, name: str) -> None:
    """The message names the file and never its content."""
    SiteKey.make(home)
    (home.root / "keys" / name).write_bytes(b"garbage")
    with pytest.raises(IntegrityError, match=name) as caught:
        SiteKey.open(home)
    assert "garbage" not in str(caught.value)


def test_a_swapped_public_key_is_found(home: Home) -> None:
    """audit.pub of another key does not open."""
    SiteKey.make(home)
    (home.root / "keys" / "audit.pub").write_bytes(public_pem(KeySigner(KEY).public_key))
    with pytest.raises(IntegrityError, match=r"audit\.pub"):
        SiteKey.open(home)


def test_openssl_reads_the_public_key(home: Home) -> None:
    """An auditor needs no lictl to look at the key."""
    SiteKey.make(home)
    shown = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(home.root / "keys" / "audit.pub"), "-text", "-noout"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    digits = read_audit_public(home).hex(":")
    assert "ED25519" in shown.upper()
    assert digits in "".join(shown.split())


@pytest.mark.parametrize("pem", [b"", b"garbage", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_garbage_is_no_public_key(pem: bytes) -> None:
    """A wrong file is the caller's mistake, told as such."""
    with pytest.raises(UsageError):
        read_public_pem(pem)


@given(plaintext=st.binary(max_size=300), context=st.binary(max_size=40))
def test_what_is_sealed_opens(plaintext: bytes, context: bytes) -> None:
    """Round trip; the blob has a fixed overhead and never looks the same twice."""
    blob = seal(KEY, plaintext, context)
    assert unseal(KEY, blob, context) == plaintext
    assert len(blob) == len(plaintext) + OVERHEAD
    assert seal(KEY, plaintext, context) != blob


@given(data=st.data(), plaintext=st.binary(max_size=60))
def test_a_changed_blob_does_not_open(data: st.DataObject, plaintext: bytes) -> None:
    """One bit anywhere, a cut or an added byte: refused."""
    blob = seal(KEY, plaintext, b"here")
    at = data.draw(st.integers(0, len(blob) - 1))
    flipped = bytearray(blob)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    for bad in (bytes(flipped), blob[:at], blob + b"x"):
        with pytest.raises(IntegrityError):
            unseal(KEY, bad, b"here")


def test_a_moved_blob_does_not_open() -> None:
    """The context binds a blob to its place."""
    blob = seal(KEY, b"192.0.2.1", b"warrants.targets:A")
    with pytest.raises(IntegrityError) as caught:
        unseal(KEY, blob, b"warrants.targets:B")
    assert "192.0.2.1" not in str(caught.value)


def test_another_sites_key_does_not_unwrap() -> None:
    """A database carried to another site stays closed."""
    wrapped = FileWrapper(KEY).wrap(KEY, b"w")
    with pytest.raises(IntegrityError):
        FileWrapper(bytes(32)).unwrap(wrapped, b"w")


def test_only_whole_keys_are_wrapped() -> None:
    """A wrapper is for keys, not for data."""
    with pytest.raises(ValueError, match="32 bytes"):
        FileWrapper(KEY).wrap(b"short", b"w")


def test_a_sealer_keeps_warrants_apart() -> None:
    """Two warrants, two keys: one does not open the other's values."""
    sealer = Sealer(FileWrapper(KEY))
    first, second = sealer.new_key(), sealer.new_key()
    blob = sealer.seal(first, b"target", b"c")
    assert sealer.open(sealer.unwrap(sealer.wrap(first, b"1"), b"1"), blob, b"c") == b"target"
    with pytest.raises(IntegrityError):
        sealer.open(second, blob, b"c")


def test_derive_is_hkdf_of_rfc_5869() -> None:
    """Equal to the construction of RFC 5869 written out with HMAC, with an empty salt and one block of output."""
    import hashlib
    import hmac

    extracted = hmac.new(bytes(32), KEY, hashlib.sha256).digest()
    assert derive(KEY, b"purpose") == hmac.new(extracted, b"purpose\x01", hashlib.sha256).digest()
    assert derive(KEY, b"purpose") != derive(KEY, b"other")
