"""One server, its project and location, and how its answers become values."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

import httpx

from homeport.client import reaching, refusals
from homeport.client.address import Address as Address
from homeport.client.address import host_of, is_loopback
from homeport.errors import (
    Code,
    DeadlineExceededError,
    HomeportError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
)

# Of an answer, while nothing of it arrives: deployments are waited for apart.
_TIMEOUT_S: Final = 300.0
_CONNECT_TIMEOUT_S: Final = 10.0
_FIRST_POLL_S: Final = 0.02
_LONGEST_POLL_S: Final = 0.5
# A server that is started again meanwhile goes on with its operations.
_PATIENCE_S: Final = 60.0
_MAX_ANSWER_BYTES: Final = 1 << 30
_PERMANENT_REDIRECT: Final = 308  # "go on": what answers a part of an upload
_OURS: Final = "/homeport/v1/"

_CALLER_HEADER: Final = b"x-homeport-caller"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, read to its end.

    Attributes:
        status: Of HTTP.
        headers: By their names in lower case.
        content: The body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Connection:
    """Requests to one server. Use it as a context manager, or `close` it.

    Args:
        address: Which server, and where on it.
        caller: Who asks, for the server's history; "" to be anonymous there.
        timeout_s: How long nothing may arrive of an answer.
        max_answer_bytes: The longest answer that is held in memory.

    Raises:
        InvalidArgumentError: The address has no URL of a server.
    """

    def __init__(
        self,
        address: Address,
        caller: str = "",
        *,
        timeout_s: float = _TIMEOUT_S,
        max_answer_bytes: int = _MAX_ANSWER_BYTES,
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._max_answer_bytes = max_answer_bytes
        self._http = httpx.Client(
            base_url=address.url,
            timeout=httpx.Timeout(
                timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)
            ),
            headers={_CALLER_HEADER: caller.encode()} if caller else {},
            # A proxy of the environment knows nothing of this machine's loopback.
            trust_env=not is_loopback(host_of(address.url)),
            verify=reaching.trusted(address.url),
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
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        return self._json("GET", path, params=query)

    def get_text(self, path: str) -> str:
        """Return the text at a path.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        return self.exchange("GET", path).content.decode()

    def put(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put a JSON object at a path and return what is answered.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        return self._json("PUT", path, json=dict(document))

    def post(
        self, path: str, document: Mapping[str, Any], **query: str
    ) -> dict[str, Any]:
        """Post a JSON object and return the one that is answered.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        return self._json("POST", path, params=query or None, json=dict(document))

    def patch(
        self, path: str, document: Mapping[str, Any], **query: str
    ) -> dict[str, Any]:
        """Change the resource at a path; return it as it now stands.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        return self._json("PATCH", path, params=query, json=dict(document))

    def delete(self, path: str) -> dict[str, Any]:
        """Delete the resource at a path and return what is answered.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        return self._json("DELETE", path)

    def post_bytes(self, path: str, body: bytes) -> bytes:
        """Post JSON text and return the text that is answered.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
        """
        headers = {"content-type": "application/json"}
        return self.exchange("POST", path, content=body, headers=headers).content

    def wait(
        self, operation: Mapping[str, Any], timeout_s: float = 900.0
    ) -> dict[str, Any]:
        """Return the response of a long-running operation once it has ended.

        Raises:
            HomeportError: It failed, as the class of its code.
            DeadlineExceededError: It has not ended in time.
        """
        response: dict[str, Any] = self.ended(operation, timeout_s)["response"]
        return response

    def ended(
        self, operation: Mapping[str, Any], timeout_s: float = 900.0
    ) -> Mapping[str, Any]:
        """Return a long-running operation once it has ended well.

        Raises:
            HomeportError: It failed, as the class of its code.
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
            try:
                time.sleep(pause_s)
                operation = self._polled(str(operation["name"]), deadline)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(f"{operation['name']} goes on in the server")
                raise
            pause_s = min(1.5 * pause_s, _LONGEST_POLL_S)
        if "error" in operation:
            raise refusals.of_operation(str(operation["name"]), operation["error"])
        return operation

    def exchange(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Answer:
        """Send bytes and return what is answered, held in memory.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there.
            DeadlineExceededError: Nothing of the answer arrived in time.
            ResourceExhaustedError: The answer is too long.
        """
        return self._exchange(
            method, path, content=content, headers=headers or {}, params=query
        )

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Send bytes and yield the answer's pieces as they arrive, of any length.

        Raises:
            HomeportError: The server's own refusal, as the class of its code.
            UnavailableError: No server answers there, or it broke off.
            DeadlineExceededError: Nothing of the answer arrived in time.
        """
        with self._sent(
            method, path, content=content, headers=headers or {}, params=query
        ) as response:
            yield response.iter_bytes()

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # httpx's own
        answer = self._exchange(method, path, **options)
        try:
            document = json.loads(answer.content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._stranger(answer.status)
        return document

    def _exchange(self, method: str, path: str, **options: Any) -> Answer:  # noqa: ANN401  # httpx's own
        with self._sent(method, path, **options) as response:
            content = self._read(response)
            return Answer(response.status_code, dict(response.headers), content)

    @contextlib.contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401  # httpx's own
    ) -> Iterator[httpx.Response]:
        """Yield an answer that is no refusal, with its body still to read."""
        try:
            with self._http.stream(method, path, **options) as response:
                if not response.is_success and (
                    response.status_code != _PERMANENT_REDIRECT
                ):
                    raise self._refusal(path, response)
                yield response
        except httpx.TimeoutException as error:
            raise self._late(error) from error
        except (httpx.LocalProtocolError, UnicodeEncodeError) as error:
            raise InvalidArgumentError(f"that cannot be sent: {error}") from error
        except httpx.RequestError as error:
            raise UnavailableError(reaching.silence(self.address.url, error)) from error

    def _late(self, error: httpx.TimeoutException) -> HomeportError:
        if isinstance(error, httpx.ConnectTimeout):
            return UnavailableError(
                f"no server answers at {self.address.url} within "
                f"{_CONNECT_TIMEOUT_S:g} s: is it the right address?"
            )
        return DeadlineExceededError(
            f"nothing came from the server at {self.address.url} for "
            f"{self._timeout_s:g} s: it is busy or hangs; ask again, or wait longer"
        )

    def _read(self, response: httpx.Response) -> bytes:
        pieces, size_bytes = [], 0
        for piece in response.iter_bytes():
            size_bytes += len(piece)
            if size_bytes > self._max_answer_bytes:
                raise ResourceExhaustedError(
                    f"the answer has more than {self._max_answer_bytes} bytes: ask for "
                    "less at a time"
                )
            pieces.append(piece)
        return b"".join(pieces)

    def _polled(self, name: str, deadline: float) -> dict[str, Any]:
        """Return an operation, also if the server is being started again."""
        patience = min(deadline, time.monotonic() + _PATIENCE_S)
        while True:
            try:
                return self.get(f"/v1/{name}")
            except UnavailableError:
                if time.monotonic() > patience:
                    raise
                time.sleep(_LONGEST_POLL_S)

    def _refusal(self, path: str, response: httpx.Response) -> HomeportError:
        content = self._read(response)
        try:
            refusal = refusals.of_answer(response.status_code, json.loads(content))
        except ValueError:
            refusal = None
        if refusal is None:
            return self._stranger(response.status_code)
        if refusal.code is Code.UNIMPLEMENTED or (
            refusal.code is Code.NOT_FOUND and path.startswith(_OURS)
        ):
            return self._of_another_version(refusal)
        return refusal

    def _stranger(self, http: int) -> HomeportError:
        return HomeportError(
            f"the server answered {http} and no reason: is {self.address.url} a "
            "homeport server?"
        )

    def _of_another_version(self, refusal: HomeportError) -> HomeportError:
        """Return a refusal that may be one for want of a method, and says so then."""
        # Deferred: it reads mail headers, a tenth of what a command imports.
        import importlib.metadata  # noqa: PLC0415

        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
            there = self._http.get("/").json()["version"]
            here = importlib.metadata.version("homeport")
            if there != here:
                return UnimplementedError(
                    f"{refusal.message}; the server is homeport {there}, this client "
                    f"{here}: bring both to one version"
                )
        return refusal
