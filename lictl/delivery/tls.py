# SPDX-License-Identifier: Apache-2.0
"""TLS towards an agency (RFC 8446): only the authorities that were given for it count, and plain text never does.

Certificates and key come as text and go to OpenSSL through memory: no file of them is ever made.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

from lictl.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from lictl.delivery.config import Transport

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Of TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325, 4.2).
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
# X509_V_ERR_*
_FOREIGN: Final = frozenset({2, 18, 19, 20, 21, 24})
_EXPIRED, _EARLY, _NAMES = 10, 9, frozenset({62, 64})
_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": "The agency wants a certificate of ours: give it one with `lictl agency renew`.",
    "UNKNOWN_CA": "The agency does not know the authority of our certificate.",
    "BAD_CERTIFICATE": "The agency refuses our certificate.",
    "CERTIFICATE_EXPIRED": "The agency says that our certificate has expired.",
    "CERTIFICATE_REVOKED": "The agency says that our certificate was revoked.",
    "CERTIFICATE_UNKNOWN": "The agency refuses our certificate.",
    "UNSUPPORTED_CERTIFICATE": "The agency cannot use our kind of certificate.",
    "ACCESS_DENIED": "The agency refuses our certificate.",
    "PROTOCOL_VERSION": "The agency does not speak the TLS version that is asked for: see --tls-min.",
    "UNSUPPORTED_PROTOCOL": "The agency does not speak the TLS version that is asked for: see --tls-min.",
    "WRONG_VERSION_NUMBER": "What answers does not speak TLS.",
    "RECORD_LAYER_FAILURE": "What answers does not speak TLS.",
    "HANDSHAKE_FAILURE": "The agency and this side have no cipher in common, or it wants a certificate of ours.",
    "UNRECOGNIZED_NAME": "The agency's receiver does not know the host name that was asked for.",
}


class TlsError(IntegrityError):
    """The connection cannot be made secure; nothing was sent on it, or nothing of it counts as delivered."""


def client_context(transport: Transport) -> ssl.SSLContext:
    """The settings for one agency's connections.

    Raises:
        UsageError: certificates or key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host name, and has no authority yet
    context.minimum_version = VERSIONS[transport.tls_min]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # What was given is trusted by itself: an intermediate authority, or the agency's own certificate, can be pinned.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN if hasattr(ssl, "VERIFY_X509_PARTIAL_CHAIN") else 0x80000
    try:
        context.load_verify_locations(cadata=transport.ca)
        if transport.certificate:
            _load_chain(context, transport)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "no PEM"
        if reason == "KEY_VALUES_MISMATCH":
            raise UsageError(
                "the key is not that of the certificate.", "Give the pair that belongs together."
            ) from None
        raise UsageError(f"Certificates or key for TLS cannot be used: {reason}.", "Give them as PEM.") from None
    return context


def _load_chain(context: ssl.SSLContext, transport: Transport) -> None:
    """By a file that exists in memory alone: OpenSSL's Python binding reads keys from files only."""
    fd = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        text = transport.key + "\n" + transport.certificate
        data = memoryview(text.encode())
        while data:
            data = data[os.write(fd, data) :]
        context.load_cert_chain(f"/proc/self/fd/{fd}", password=_locked)
    finally:
        os.close(fd)


def _locked() -> str:
    """In place of OpenSSL's question at the terminal, which nobody would see who asks a daemon."""
    raise UsageError("the key is locked with a password.", "Unlock it: `openssl pkey -in FILE -out NEW`.")


def explain(error: ssl.SSLError, host: str) -> TlsError:
    """What OpenSSL found, for a person; `host`: whom the connection is for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        if code in _FOREIGN:
            return TlsError(
                "The agency presented a certificate of another CA.", "Ask it which one it uses: `lictl agency renew`."
            )
        if code == _EXPIRED:
            return TlsError("The agency's certificate has expired.", "Ask the agency for a new one.")
        if code == _EARLY:
            return TlsError("The agency's certificate is not valid yet.", "Compare the clocks.")
        if code in _NAMES:
            return TlsError(f"The agency's certificate is not for {host}.", "Name the host as its certificate does.")
        return TlsError(f"The agency's certificate is refused: {error.verify_message}.")
    reason = error.reason or ""
    for name, text in _ALERTS.items():
        if name in reason:
            return TlsError(text)
    return TlsError(f"TLS failed: {reason.lower().replace('_', ' ') or 'the connection was closed'}.")
