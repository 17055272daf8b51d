"""Where a server is, and where on it a client's resources live."""

import dataclasses
import ipaddress

import httpx

from homeport.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where the client's resources live.

    Attributes:
        url: Of the server, such as "http://127.0.0.1:8080".
        project: Any name; the server keeps projects apart.
        location: A Vertex AI region name, so that the official SDK finds it too.
    """

    url: str
    project: str
    location: str

    @property
    def parent(self) -> str:
        """`projects/{project}/locations/{location}`."""
        return f"projects/{self.project}/locations/{self.location}"


def host_of(url: str) -> str:
    """Return the host of a server's URL.

    Raises:
        InvalidArgumentError: It is no URL of a server.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidArgumentError(
            f"{url!r} is no address of a server ({error}): give one such as "
            "http://127.0.0.1:8080"
        ) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise InvalidArgumentError(
            f"{url!r} is no address of a server: give one such as http://127.0.0.1:8080"
        )
    return parsed.host


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by its name or number."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
