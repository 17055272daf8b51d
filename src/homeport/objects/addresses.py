"""Where object stores are, as the server's owner says it; nobody else can."""

import dataclasses
import ipaddress
import re
import socket
import urllib.parse
from collections.abc import Collection, Mapping
from typing import Final, Literal, cast

from homeport.errors import FailedPreconditionError, InvalidArgumentError

_ADDRESS: Final = re.compile(
    r"(gs|s3)://([a-z0-9][a-z0-9._-]*)(?:/([^?#]*))?(?:\?(.*))?"
)
_OPTIONS: Final = frozenset({"endpoint", "region", "anonymous"})
# As obstore reads them, the first that is set.
_ENDPOINT_VARIABLES: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}
_PORTS: Final = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True, slots=True)
class StoreAddress:
    """A folder in a bucket of an object store.

    Attributes:
        scheme: "s3" for what speaks S3's API, "gs" for what speaks that of GCS.
        bucket: Its name.
        prefix: The folder, "" for the whole bucket, else ended by "/".
        endpoint: The URL of the store, "" for that of the variables or the public one.
        region: Of S3, "" for that of the variables.
        anonymous: Whether requests are not signed.
    """

    scheme: Literal["gs", "s3"]
    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    anonymous: bool = False

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    @classmethod
    def parse(cls, text: str) -> "StoreAddress":
        """Return `gs://bucket/prefix?endpoint=URL&region=NAME&anonymous=true` parsed.

        Raises:
            InvalidArgumentError: It is no such address.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise InvalidArgumentError(
                f"{_shown(text)!r} is no store: expected s3://bucket/prefix/ or "
                "gs://bucket/prefix/"
            )
        path = (match[3] or "").strip("/")
        check_key(path, of=_shown(text))
        options = _options(match[4] or "", _shown(text))
        return cls(
            cast("Literal['gs', 's3']", match[1]),
            match[2],
            f"{path}/" if path else "",
            options.get("endpoint", "").rstrip("/"),
            options.get("region", ""),
            options.get("anonymous") == "true",
        )

    def key_of(self, uri: str) -> str | None:
        """Return what a URI names below this folder, "" for all; None for elsewhere.

        A folder ends at its "/": `s3://a/b` holds `s3://a/b/c` and not `s3://a/bc`.
        """
        folder = str(self)
        if uri.rstrip("/") == folder.rstrip("/"):
            return ""
        return uri[len(folder) :].rstrip("/") if uri.startswith(folder) else None

    def reached(self, variables: Mapping[str, str]) -> str:
        """Return the URL that requests go to, "" for the public one of the store."""
        named = (variables.get(name) for name in _ENDPOINT_VARIABLES[self.scheme])
        return self.endpoint or next(filter(None, named), "").rstrip("/")


def check_key(key: str, *, of: str) -> None:
    """Refuse a path in a bucket that stores and file systems would read differently.

    Raises:
        InvalidArgumentError: It has an empty, "." or ".." segment or a control
            character.
    """
    segments = key.split("/") if key else []
    if not {"", ".", ".."}.isdisjoint(segments) or re.search(r"[\0-\x1f\x7f]", key):
        raise InvalidArgumentError(
            f"{of!r}: a path of an outside store has no empty segment, no '.' or '..' "
            "and no control character; copy the files to a plain path"
        )


def check_endpoint(url: str, listed: Collection[str]) -> None:
    """Refuse an endpoint on this machine or its network that nobody listed.

    Args:
        url: The endpoint, as `StoreAddress.reached` has it.
        listed: `HOST:PORT` of each such endpoint that is meant.

    Raises:
        FailedPreconditionError: It is not listed and one of its addresses is not
            public, it has none, or it is not HTTPS.
        InvalidArgumentError: It is no such URL.
    """
    host, port, scheme = _parts(url)
    if f"{host}:{port}" in listed:
        return
    told = f"the endpoint {scheme}://{host}:{port} of an object store"
    remedy = f"say --private-endpoint {host}:{port} if it is meant"
    if scheme != "https":
        raise FailedPreconditionError(f"{told} is not HTTPS: {remedy}")
    for address in _addresses(host, port, told):
        if not address.is_global or address.is_multicast:
            raise FailedPreconditionError(
                f"{told} is at {address}, which is no public address: {remedy}"
            )


def _options(query: str, of: str) -> dict[str, str]:
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown or options.get("anonymous", "true") not in {"true", "false"}:
        raise InvalidArgumentError(
            f"{of!r} has options that there are not: it takes endpoint=URL, "
            "region=NAME and anonymous=true; credentials are said in the variables "
            "of the environment"
        )
    return options


def _shown(text: str) -> str:
    """Return an address without what may be a secret."""
    return re.sub(r"//[^/@]*@", "//", text.partition("?")[0])


def _parts(url: str) -> tuple[str, int, str]:
    try:
        parsed = urllib.parse.urlsplit(url)
        port = parsed.port or _PORTS.get(parsed.scheme)
    except ValueError:
        parsed, port = urllib.parse.SplitResult("", "", "", "", ""), None
    if not parsed.hostname or not port or parsed.username or parsed.query:
        raise InvalidArgumentError(
            "an endpoint of an object store is http://HOST:PORT or https://HOST, "
            "without credentials: say those in the variables of the environment"
        )
    return parsed.hostname, port, parsed.scheme


def _addresses(
    host: str, port: int, told: str
) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise FailedPreconditionError(
            f"{told} has no address: look whether the name is right"
        ) from error
    addresses = [
        ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found
    ]
    mapped = (getattr(address, "ipv4_mapped", None) for address in addresses)
    return [v4 or address for v4, address in zip(mapped, addresses, strict=True)]
