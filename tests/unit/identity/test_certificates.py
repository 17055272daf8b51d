"""An install has a CA of its own, whose key stays private, and renews by itself."""

import datetime as dt
import pathlib
import ssl
import threading
from collections.abc import Callable

import pytest

from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.identity import certificates

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
MINUTES = dt.timedelta(minutes=10)


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "data" / "tls"


def handshake(server: pathlib.Path, trusted: pathlib.Path, name: str) -> None:
    """Connect a client that trusts a file to a server, in memory."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(server)
    asking = ssl.create_default_context(cafile=trusted)
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname=name)
    answering = accepting.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for one in (client, answering):
            try:
                one.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_clients_that_trust_the_bundle_believe_the_server(
    directory: pathlib.Path,
) -> None:
    made = certificates.initialize(directory, ["gpu-box.lan", "10.1.2.3"], NOW)

    assert made.hosts == ("localhost", "127.0.0.1", "::1", "gpu-box.lan", "10.1.2.3")
    for name in made.hosts:
        handshake(made.server, made.bundle, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made.server, made.bundle, "elsewhere.lan")


def test_the_bundle_holds_the_public_cas_too(directory: pathlib.Path) -> None:
    made = certificates.initialize(directory, [], NOW)

    context = ssl.create_default_context(cafile=made.bundle)

    assert len(context.get_ca_certs()) > 50


def test_what_is_secret_is_for_its_owner_alone(directory: pathlib.Path) -> None:
    certificates.initialize(directory, [], NOW)

    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes == {
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "server.pem": 0o600,
        "bundle.pem": 0o644,
    }
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_renewal_keeps_the_ca_and_the_names(directory: pathlib.Path) -> None:
    first = certificates.initialize(directory, ["gpu-box.lan"], NOW)
    trusted = directory.parent / "copied.pem"
    trusted.write_bytes(first.bundle.read_bytes())
    old = first.server.read_bytes()

    renewed = certificates.initialize(directory, [], NOW + MINUTES)

    assert renewed.server.read_bytes() != old
    assert renewed.hosts == first.hosts
    assert renewed.expires - first.expires == MINUTES
    handshake(renewed.server, trusted, "gpu-box.lan")


def test_a_new_ca_is_another_one(directory: pathlib.Path) -> None:
    first = certificates.initialize(directory, [], NOW)
    trusted = directory.parent / "copied.pem"
    trusted.write_bytes(first.bundle.read_bytes())

    renewed = certificates.initialize(directory, ["gpu-box.lan"], NOW, new_ca=True)

    handshake(renewed.server, renewed.bundle, "gpu-box.lan")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(renewed.server, trusted, "localhost")


def test_the_ca_signs_no_name_that_it_was_not_made_for(
    directory: pathlib.Path,
) -> None:
    certificates.initialize(directory, [], NOW)

    with pytest.raises(FailedPreconditionError, match=r"gpu-box.lan.*--new-ca"):
        certificates.initialize(directory, ["gpu-box.lan"], NOW)


@pytest.mark.parametrize(
    "host", ["https://box", "box:8443", "", "a..b", "-", "größe", "a b"]
)
def test_a_host_is_a_name_or_an_address(directory: pathlib.Path, host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="without scheme or port"):
        certificates.initialize(directory, [host], NOW)


def test_where_none_were_made_the_remedy_is_said(directory: pathlib.Path) -> None:
    with pytest.raises(FailedPreconditionError, match="homeport tls init"):
        certificates.find(directory, NOW)


def test_a_certificate_ends_and_its_end_is_told_before(
    directory: pathlib.Path,
) -> None:
    certificates.initialize(directory, [], NOW)

    assert not certificates.find(directory, NOW + 366 * DAY).ends_soon(NOW + 366 * DAY)
    assert certificates.find(directory, NOW + 368 * DAY).ends_soon(NOW + 368 * DAY)
    with pytest.raises(FailedPreconditionError, match="renew it with homeport tls"):
        certificates.find(directory, NOW + 398 * DAY)


@pytest.mark.parametrize(
    ("name", "again"),
    [
        pytest.param("server.pem", certificates.find, id="the server's key"),
        pytest.param(
            "ca.key",
            lambda directory, now: certificates.initialize(directory, [], now),
            id="the key of the CA",
        ),
    ],
)
def test_a_key_that_others_may_read_is_refused(
    directory: pathlib.Path,
    name: str,
    again: Callable[[pathlib.Path, dt.datetime], object],
) -> None:
    certificates.initialize(directory, [], NOW)
    (directory / name).chmod(0o640)

    with pytest.raises(FailedPreconditionError, match="mode 0640"):
        again(directory, NOW)


def test_a_ca_that_ends_is_replaced_by_name(directory: pathlib.Path) -> None:
    certificates.initialize(directory, [], NOW)

    with pytest.raises(FailedPreconditionError, match="--new-ca"):
        certificates.initialize(directory, [], NOW + 3300 * DAY)


def test_what_is_damaged_is_said(directory: pathlib.Path) -> None:
    certificates.initialize(directory, [], NOW)
    (directory / "ca.key").write_text("nonsense")

    with pytest.raises(FailedPreconditionError, match=r"damaged.*--new-ca"):
        certificates.initialize(directory, [], NOW)


def test_readers_meet_whole_files_while_it_is_renewed(
    directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    made = certificates.initialize(directory, [], NOW)
    ended = threading.Event()

    def renew() -> None:
        for _ in range(20):
            certificates.initialize(directory, [], NOW)
        ended.set()

    thread = threading.Thread(target=renew)
    thread.start()
    # Read once: OpenSSL itself opens the file twice, for the certificate and its key.
    met = tmp_path / "met.pem"
    while not ended.is_set():
        met.write_bytes(made.server.read_bytes())
        handshake(met, made.bundle, "localhost")
    thread.join()
