# SPDX-License-Identifier: Apache-2.0
"""What TLS with an agency rests on: its authorities, and what this site shows it. Judged before anything is kept."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lictl.delivery.tls import VERSIONS, client_context
from lictl.errors import UsageError
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from lictl.delivery.config import Transport


def check_credentials(transport: Transport) -> None:
    """Refuses TLS that could not work, or not today.

    Raises:
        UsageError: what is missing, has ended, or does not go together.
    """
    if transport.tls_min not in VERSIONS:
        raise UsageError(f"there is no TLS {transport.tls_min} here.", f"Versions: {', '.join(sorted(VERSIONS))}.")
    if not transport.ca:
        raise UsageError(
            "TLS needs the authority that signed the agency's certificate: no other one counts.",
            "Ask the agency for it, and give it with --tls-ca FILE.",
        )
    if bool(transport.certificate) != bool(transport.key):
        raise UsageError("a certificate and its key go together.", "Give both --tls-certificate and --tls-key.")
    client_context(transport)
    now = dt.datetime.now(dt.UTC)
    if transport.certificate:
        _check_chain(_certificates(transport.certificate), now)
    if all(each.not_valid_after_utc <= now for each in _certificates(transport.ca)):
        raise UsageError("the authority's certificate has expired.", "Ask the agency for the one that it uses now.")


def check_certificate(certificate: str) -> None:
    """Refuses a PEM chain that could not be shown to anybody today; the key is judged with it (`check_credentials`).

    Raises:
        UsageError: what is wrong with it.
    """
    _check_chain(_certificates(certificate), dt.datetime.now(dt.UTC))


def _check_chain(chain: list[x509.Certificate], now: dt.datetime) -> None:
    first = chain[0]
    if first.not_valid_after_utc <= now:
        raise UsageError("our own certificate has expired.", "Get a new one first.")
    if first.not_valid_before_utc > now:
        begins = _text(first.not_valid_before_utc)
        raise UsageError(f"our own certificate is not valid before {begins}.", "Give it then; compare the clocks.")
    for number, (signed, signer) in enumerate(itertools.pairwise(chain), 1):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature):
            raise UsageError(
                f"our certificates are no chain: number {number + 1} of the file did not sign number {number}.",
                "Put our certificate first, and behind each one that of the authority that signed it.",
            ) from None


def renewed(known: Transport, ca: str, certificate: str, key: str) -> Transport:
    """A transport with new credentials in place of those it has; judged.

    Args:
        known: with its private key.
        ca: PEM of every authority that counts from now on; "": as it is.
        certificate: PEM chain that is shown to the agency; "": as it is.
        key: PEM of its private key; "": the certificate is for the key that is there.

    Raises:
        UsageError: there is nothing new in it, or `check_credentials` refuses it.
    """
    if not known.tls:
        raise UsageError(
            "this agency is not reached in TLS: it has no credentials to renew.", "See `lictl agency list`."
        )
    if key and not certificate:
        raise UsageError("a new key needs a certificate of its own.", "Give both --tls-certificate and --tls-key.")
    new = replace(known, ca=ca or known.ca, certificate=certificate or known.certificate, key=(key or known.key))
    if (new.ca, new.certificate) == (known.ca, known.certificate):
        raise UsageError(
            "there is nothing new in it.", "Give a new --tls-ca, or a new --tls-certificate and --tls-key."
        )
    check_credentials(new)
    return new


def ends(transport: Transport) -> dict[str, float]:
    """Until when credentials are valid, seconds since 1970.

    Returns:
        `our`: what is shown to the agency; `the authority's`: the last of those that may sign the agency's. Only what
        there is.
    """
    found = {}
    if transport.tls and transport.certificate:
        found["our"] = _certificates(transport.certificate)[0].not_valid_after_utc.timestamp()
    if transport.tls and transport.ca:
        found["the authority's"] = max(e.not_valid_after_utc.timestamp() for e in _certificates(transport.ca))
    return found


def described(transport: Transport) -> dict[str, Any]:
    """For people.

    Returns:
        `certificate_until`: RFC 3339, None where none is shown; `authorities`: a list of `{subject, until}`.
    """
    ours = _certificates(transport.certificate)[0].not_valid_after_utc if transport.certificate else None
    return {
        "certificate_until": None if ours is None else _text(ours),
        "authorities": [
            {"subject": each.subject.rfc4514_string(), "until": _text(each.not_valid_after_utc)}
            for each in _certificates(transport.ca)
        ],
    }


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise UsageError("this is no certificate in PEM form.", "Give the file that the authority sent.") from None


def _text(when: dt.datetime) -> str:
    return format_rfc3339(int(when.timestamp()) * 1_000_000_000)
