"""Whose certificates are believed, and why a server could not be reached."""

import ssl

import httpx

from homeport.errors import InvalidArgumentError


def trusted(url: str) -> ssl.SSLContext:
    """Return what is trusted, also on loopback what SSL_CERT_FILE names.

    Of a server without TLS nothing is read: the certificates that are usually trusted
    take longer to load than a whole request.

    Raises:
        InvalidArgumentError: The certificates that it names cannot be read.
    """
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context(trust_env=True)
    except OSError as error:
        raise InvalidArgumentError(
            "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: "
            "`homeport tls env` prints the right ones, or unset it"
        ) from error


def silence(url: str, error: httpx.RequestError) -> str:
    """Return why a server did not answer, and what to do."""
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            f"the certificate of {url} is not trusted: say `export $(homeport tls "
            "env)` with the server's --data-dir, or a copy of its tls/bundle.pem in "
            "SSL_CERT_FILE, and take a name that `homeport tls init` was given"
        )
    if "WRONG_VERSION_NUMBER" in said:
        return (
            f"what answers at {url} speaks no HTTPS: say http://, or give the port of "
            "`homeport serve --tls-port`"
        )
    return (
        f"no server answers at {url} ({said}): start one with `homeport serve`, or "
        "name another with --url or HOMEPORT_URL"
    )
