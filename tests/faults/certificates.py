"""An authority of our own, and what it signs.

In: a directory. Out: PEM files in it. Promise: keys are made anew each time and are worth nothing.

    authority = Authority(folder, "ca")
    server = authority.sign("server", "127.0.0.1")
    credentials(server, clients=authority)
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


class Authority:
    """``ca`` is its certificate as a PEM file."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._cert = self._make(name, self._key, x509.BasicConstraints(True, None), [], 1)
        self.ca = _pem(folder / f"{name}.pem", self._cert.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, *hosts: str, days: int = 1) -> Signed:
        """A certificate for these hosts that ends in so many days; less than 0 is over."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self._make(name, key, x509.BasicConstraints(False, None), list(hosts), days)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        stem = f"{self._name}-{name}"
        return Signed(
            _pem(self._folder / f"{stem}.pem", cert.public_bytes(serialization.Encoding.PEM)),
            _pem(self._folder / f"{stem}.key", private),
        )

    def _make(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        kind: x509.BasicConstraints,
        hosts: list[str],
        days: int,
    ) -> x509.Certificate:
        end = datetime.now(UTC) + timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_called(name))
            .issuer_name(_called(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=2))
            .not_valid_after(end)
            .add_extension(kind, critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def credentials(server: Signed, clients: Authority | None = None) -> grpc.ServerCredentials:
    """What a gRPC server shows; with ``clients``, clients must show a certificate from there."""
    pair = (server.key.read_bytes(), server.cert.read_bytes())
    roots = clients.ca.read_bytes() if clients else None
    return grpc.ssl_server_credentials([pair], roots, clients is not None)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
