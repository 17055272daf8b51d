"""The certificates of one install: a CA of its own, and what it signed for the server.

In the directory `tls` of the data directory:

    ca.pem        the CA; it can sign the names of this install alone
    ca.key        its key, mode 0600; signs the next server certificate
    server.pem    the server's key, certificate and CA in one file, mode 0600, so that
                  a renewal is one rename
    bundle.pem    the public CAs and ours, for clients that take one file for all
"""

import contextlib
import dataclasses
import datetime as dt
import ipaddress
import os
import pathlib
import stat
from collections.abc import Sequence
from typing import Final

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from homeport.errors import FailedPreconditionError, InvalidArgumentError

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# What browsers and Apple's platforms accept of a server.
SERVER_LIFETIME: Final = dt.timedelta(days=397)
CA_LIFETIME: Final = dt.timedelta(days=3650)
RENEW_BEFORE: Final = dt.timedelta(days=30)

_CLOCK_SKEW: Final = dt.timedelta(hours=1)
_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644
# Clients that take their CAs from a file named in a variable: gRPC, requests, what
# is built on OpenSSL or rustls, and gcloud.
_VARIABLES: Final = (
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Certificates:
    """The files of one install that are good to be used.

    Attributes:
        server: Key and certificate chain of the server.
        bundle: What a client is told to trust.
        hosts: The names and addresses the server's certificate is for.
        expires: When it ends, UTC.
    """

    server: pathlib.Path
    bundle: pathlib.Path
    hosts: tuple[str, ...]
    expires: dt.datetime

    def ends_soon(self, now: dt.datetime) -> bool:
        """Tell whether it is time to renew."""
        return self.expires - now < RENEW_BEFORE

    def variables(self) -> tuple[tuple[str, str], ...]:
        """Return the variables by which clients are told what to trust."""
        return tuple((name, str(self.bundle)) for name in _VARIABLES)


def find(directory: pathlib.Path, now: dt.datetime) -> Certificates:
    """Return the certificates that are there.

    Args:
        directory: `tls` in the data directory.
        now: The time, aware.

    Raises:
        FailedPreconditionError: There are none, others may read the key, or they have
            expired.
    """
    server = directory / "server.pem"
    try:
        mode = stat.S_IMODE(server.stat().st_mode)
        text = server.read_bytes()
    except OSError as error:
        raise FailedPreconditionError(
            "the data directory has no certificates that this user can read: make "
            "them with homeport tls init"
        ) from error
    if mode & 0o077:
        raise FailedPreconditionError(
            f"the server's key in {server} is open to other accounts (mode "
            f"{mode:04o}): close it with chmod 600, and make a new one with homeport "
            "tls init if others may have read it"
        )
    certificate = _parsed(text)
    expires = certificate.not_valid_after_utc
    if expires <= now:
        raise FailedPreconditionError(
            f"the server's certificate ended on {expires:%Y-%m-%d}: renew it with "
            "homeport tls init; clients need nothing new"
        )
    bundle = (directory / "bundle.pem").absolute()
    return Certificates(server, bundle, _names(certificate), expires)


def initialize(
    directory: pathlib.Path,
    hosts: Sequence[str],
    now: dt.datetime,
    *,
    new_ca: bool = False,
) -> Certificates:
    """Return a new server certificate, of the CA that is there or of a new one.

    Clients that trust the CA already need nothing new when it stays. Each file
    appears by a rename, the server's last.

    Args:
        directory: `tls` in the data directory; made when missing.
        hosts: Names and addresses beside the loopback ones.
        now: The time, aware.
        new_ca: Make a new CA also where there is one.

    Raises:
        InvalidArgumentError: One of `hosts` is no name or address.
        FailedPreconditionError: The CA there cannot sign for one of them, has ended,
            or its key is open to other accounts.
    """
    for folder in (directory.parent, directory):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = None if new_ca else _found_authority(directory, now)
    if authority is None:
        authority = _new_authority(directory, (*LOOPBACK, *hosts), now)
    missing = set(hosts) - set(authority.hosts)
    if missing:
        raise FailedPreconditionError(
            f"the CA of this install cannot sign for {', '.join(sorted(missing))}: "
            "make a new one with --new-ca, and give clients the new bundle"
        )
    _write_bundle(directory, authority)
    _write_server(directory, authority, now)
    return find(directory, now)


@dataclasses.dataclass(frozen=True, slots=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def hosts(self) -> tuple[str, ...]:
        constraints = self.certificate.extensions.get_extension_for_class(
            x509.NameConstraints
        ).value
        return tuple(_text(one) for one in constraints.permitted_subtrees or ())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _found_authority(directory: pathlib.Path, now: dt.datetime) -> _Authority | None:
    key_path, path = directory / "ca.key", directory / "ca.pem"
    if not (key_path.exists() and path.exists()):
        return None
    mode = stat.S_IMODE(key_path.stat().st_mode)
    if mode & 0o077:
        raise FailedPreconditionError(
            f"the key of the CA, {key_path}, is open to other accounts (mode "
            f"{mode:04o}): if nobody can have read it, close it with chmod 600; else "
            "make a new CA with --new-ca"
        )
    certificate = _parsed(path.read_bytes())
    if certificate.not_valid_after_utc < now + SERVER_LIFETIME:
        raise FailedPreconditionError(
            f"the CA ends on {certificate.not_valid_after_utc:%Y-%m-%d}, too soon to "
            "sign for a year: make a new one with --new-ca"
        )
    return _Authority(_parsed_key(key_path.read_bytes()), certificate)


def _new_authority(
    directory: pathlib.Path, hosts: Sequence[str], now: dt.datetime
) -> _Authority:
    names = [_general_name(host, whole_network=True) for host in dict.fromkeys(hosts)]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"Homeport CA of {now:%Y-%m-%d %H:%M}")
    builder = (
        _builder(subject, key, now, CA_LIFETIME)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        # Whoever steals the key can be this install, and nobody else.
        .add_extension(x509.NameConstraints(names, None), critical=True)
    )
    authority = _Authority(key, builder.sign(key, hashes.SHA256()))
    _write(directory / "ca.key", _key_pem(key), _PRIVATE)
    _write(directory / "ca.pem", authority.pem, _PUBLIC)
    return authority


def _write_bundle(directory: pathlib.Path, authority: _Authority) -> None:
    """Write the CAs for clients: gRPC's variable replaces all others it has."""
    public = pathlib.Path(certifi.where()).read_bytes()
    _write(directory / "bundle.pem", authority.pem + public, _PUBLIC)


def _write_server(
    directory: pathlib.Path, authority: _Authority, now: dt.datetime
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_general_name(host) for host in authority.hosts]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(
        authority.key.public_key()
    )
    builder = (
        _builder(_subject(authority.hosts[0]), key, now, SERVER_LIFETIME)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(signer, critical=False)
    )
    certificate = builder.sign(authority.key, hashes.SHA256())
    chain = certificate.public_bytes(serialization.Encoding.PEM) + authority.pem
    _write(directory / "server.pem", _key_pem(key) + chain, _PRIVATE)


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str, *, whole_network: bool = False) -> x509.GeneralName:
    """Return a host for a certificate, or for the constraints of a CA."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return x509.IPAddress(
            ipaddress.ip_network(address) if whole_network else address
        )
    labels = host.split(".")
    if not all(label.isascii() and _is_label(label) for label in labels):
        raise InvalidArgumentError(
            f"host {host!r}: give a name or an address alone, without scheme or port"
        )
    return x509.DNSName(host)


def _is_label(label: str) -> bool:
    return bool(label.strip("-")) and label.replace("-", "").replace("_", "").isalnum()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return tuple(_text(name) for name in names.value)


def _text(name: x509.GeneralName) -> str:
    if isinstance(name.value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return str(name.value.network_address)
    return str(name.value)


def _parsed(text: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text)
    except ValueError as error:
        raise FailedPreconditionError(
            "a certificate in the data directory is damaged: make new ones with "
            "homeport tls init --new-ca"
        ) from error


def _parsed_key(text: bytes) -> ec.EllipticCurvePrivateKey:
    with contextlib.suppress(ValueError):
        key = serialization.load_pem_private_key(text, None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    raise FailedPreconditionError(
        "the key of the CA is damaged: make a new CA with --new-ca"
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: pathlib.Path, content: bytes, mode: int) -> None:
    """Write a file that appears at once, never readable by others before its mode."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.chmod(mode)
    partial.replace(path)
