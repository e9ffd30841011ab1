"""Transport security: what the client is told, and why a connection does not come about.

In: ``Tls``, the files and the name that the user gave. Out: options of ``MilvusClient``;
``UsageError`` for files that cannot be right; one reason in words for a handshake that fails.
Promise: files are checked before anybody is connected; no content of a key is ever shown.

    tls = Tls(ca=Path("ca.pem"))
    tls.check("https://host:19530")
    MilvusClient(uri, **tls.options())
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from vdbcluster.errors import UsageError

SECONDS = 3.0
"""Wait for one answer of a server that is looked at."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. ``ca``: whom to believe; None is the list of roots that gRPC ships.

    ``cert``, ``key``: of the client, for servers that ask for them. ``name``: what the server's
    certificate is made out to, where that is not the host of the address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    name: str = ""

    def check(self, uri: str) -> None:
        """``UsageError`` for what cannot work with this address, or on its own."""
        if self == PLAIN:
            return
        if urlsplit(uri).scheme != "https":
            raise UsageError("--tls-... options need an address that begins with https://")
        if (self.cert is None) != (self.key is None):
            raise UsageError("--tls-cert and --tls-key belong together; pass both")
        if self.cert and not self.ca:
            raise UsageError("with --tls-cert and --tls-key pass --tls-ca as well")
        self._check_files()

    def options(self) -> dict[str, str]:
        """Keyword arguments for ``MilvusClient``, whose names mislead: see ``grpc_handler``."""
        given = {"server_name": self.name}
        if self.cert and self.key:
            given |= {
                "ca_pem_path": str(self.ca),
                "client_pem_path": str(self.cert),
                "client_key_path": str(self.key),
            }
        elif self.ca:
            given["server_pem_path"] = str(self.ca)
        return {name: value for name, value in given.items() if value}

    def _check_files(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca:
            _readable(self.ca, "--tls-ca")
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError as error:
                raise UsageError(
                    f"{self.ca} (--tls-ca) holds no certificate in PEM ({error.reason})"
                ) from error
        if self.cert and self.key:
            _readable(self.cert, "--tls-cert")
            _readable(self.key, "--tls-key")
            try:
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
            except (ssl.SSLError, ValueError) as error:
                raise UsageError(
                    f"{self.cert} (--tls-cert) and {self.key} (--tls-key) are no certificate and "
                    f"its key in PEM, without a password ({getattr(error, 'reason', error)})"
                ) from error


PLAIN = Tls()


def reason(uri: str, tls: Tls) -> str:
    """Why a server that listens takes no connection; empty where TLS is not to blame.

    For the failures that the client reports as a closed socket. Connects once more by itself.
    """
    answer = _handshake(uri)
    if answer == "no TLS":
        return ""
    if urlsplit(uri).scheme != "https":
        return "the server speaks TLS; write https:// instead of http://"
    if answer == "stays":
        return ""
    if tls.cert:
        return f"the server does not take the client certificate {tls.cert} (--tls-cert)"
    return (
        "the server ends the connection, as one does that asks for a client certificate; pass "
        "--tls-cert and --tls-key"
    )


def _handshake(uri: str) -> Literal["no TLS", "stays", "ends"]:
    """What a server does with a client that has no certificate; nothing is sent or believed."""
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 19530)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((parts.hostname or "localhost", port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
        ):
            return _after(secured)
    except ssl.SSLError as error:
        return "ends" if "ALERT" in (error.reason or "") else "no TLS"
    except OSError:
        return "no TLS"


def _after(secured: ssl.SSLSocket) -> Literal["stays", "ends"]:
    """In TLS 1.3 those who lack a certificate are told when the handshake is over."""
    try:
        return "stays" if secured.recv(1) else "ends"
    except TimeoutError:
        return "stays"
    except OSError:
        return "ends"


def _readable(path: Path, flag: str) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{path} ({flag}) cannot be read: {error.strerror}") from error
