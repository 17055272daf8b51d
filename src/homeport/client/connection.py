"""One server, its project and location, and how its answers become values."""

import dataclasses
import ipaddress
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self

import httpx

from homeport.errors import (
    Code,
    DeadlineExceededError,
    InvalidArgumentError,
    RelayedError,
    UnavailableError,
)

_TIMEOUT_S: Final = 300.0
_FIRST_POLL_S: Final = 0.02
_LONGEST_POLL_S: Final = 0.5
_CHUNK_BYTES: Final = 1 << 20
_CODES: Final = {
    400: Code.INVALID_ARGUMENT,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ALREADY_EXISTS,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
}


_CALLER_HEADER: Final = b"x-homeport-caller"


class ServerError(RelayedError):
    """What the server answered, with the code it gave."""


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


class Connection:
    """Requests to one server. Use it as a context manager, or `close` it.

    Args:
        address: Which server, and where on it.
        caller: Who asks, for the server's history; "" to be anonymous there.

    Raises:
        InvalidArgumentError: The address has no URL of a server.
    """

    def __init__(self, address: Address, caller: str = "") -> None:
        self.address = address
        self._http = httpx.Client(
            base_url=address.url,
            timeout=_TIMEOUT_S,
            headers={_CALLER_HEADER: caller.encode()} if caller else {},
            # A proxy of the environment knows nothing of this machine's loopback.
            trust_env=not _is_loopback(_host(address.url)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return the JSON object at a path.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        return self._json("GET", path, params=query)

    def get_text(self, path: str) -> str:
        """Return the text at a path.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        return self._request("GET", path).text

    def put(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put a JSON object at a path and return what is answered.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        return self._json("PUT", path, json=dict(document))

    def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Post a JSON object and return the one that is answered.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        return self._json("POST", path, json=dict(document))

    def patch(
        self, path: str, document: Mapping[str, Any], **query: str
    ) -> dict[str, Any]:
        """Change the resource at a path; return it as it now stands.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        return self._json("PATCH", path, params=query, json=dict(document))

    def delete(self, path: str) -> dict[str, Any]:
        """Delete the resource at a path and return what is answered.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        return self._json("DELETE", path)

    def post_bytes(self, path: str, body: bytes) -> bytes:
        """Post JSON text and return the text that is answered.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        headers = {"content-type": "application/json"}
        return self._request("POST", path, content=body, headers=headers).content

    def post_file(
        self,
        path: str,
        file: pathlib.Path,
        query: Mapping[str, str],
        on_progress: Callable[[int], None],
    ) -> dict[str, Any]:
        """Stream a file to the server.

        Args:
            path: Where to.
            file: What.
            query: Query parameters.
            on_progress: Called with the number of bytes of each chunk sent.

        Raises:
            ServerError: The server's own refusal.
            UnavailableError: No server answers there.
        """
        headers = {"content-length": str(file.stat().st_size)}
        return self._json(
            "POST",
            path,
            params=dict(query),
            headers=headers,
            content=_chunks(file, on_progress),
        )

    def wait(
        self, operation: Mapping[str, Any], timeout_s: float = 900.0
    ) -> dict[str, Any]:
        """Return the response of a long-running operation once it has ended.

        Raises:
            ServerError: It failed.
            DeadlineExceededError: It has not ended in time.
        """
        response: dict[str, Any] = self.ended(operation, timeout_s)["response"]
        return response

    def ended(
        self, operation: Mapping[str, Any], timeout_s: float = 900.0
    ) -> Mapping[str, Any]:
        """Return a long-running operation once it has ended well.

        Raises:
            ServerError: It failed.
            DeadlineExceededError: It has not ended in time.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = _FIRST_POLL_S
        while not operation.get("done"):
            if time.monotonic() > deadline:
                raise DeadlineExceededError(
                    f"{operation['name']} has not ended within {timeout_s:g} s: it "
                    "goes on in the server"
                )
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, _LONGEST_POLL_S)
            operation = self.get(f"/v1/{operation['name']}")
        if "error" in operation:
            error = operation["error"]
            raise ServerError(Code(error["code"]), error["message"])
        return operation

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # httpx's own
        document: dict[str, Any] = self._request(method, path, **options).json()
        return document

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  # httpx's own
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise UnavailableError(
                f"no server answers at {self.address.url} ({error}): start one with "
                "`homeport serve`, or name another with --url"
            ) from error
        if response.is_success:
            return response
        raise _refusal(response)


def _host(url: str) -> str:
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _chunks(file: pathlib.Path, on_progress: Callable[[int], None]) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
            on_progress(len(chunk))


def _refusal(response: httpx.Response) -> ServerError:
    try:
        error = response.json()["error"]
        # The object store's errors are Google Cloud Storage's: they have no status.
        unnamed = _CODES.get(response.status_code, Code.INTERNAL)
        code = Code[error["status"]] if "status" in error else unnamed
        return ServerError(code, error["message"])
    except (ValueError, KeyError, TypeError):
        return ServerError(
            Code.INTERNAL,
            f"the server answered {response.status_code} and no reason: is "
            f"{response.url.host}:{response.url.port} a homeport server?",
        )
