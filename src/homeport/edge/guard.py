"""What is refused before routing: foreign hosts, foreign pages, bodies over a limit.

Raw ASGI around any application. A server without tokens on a loopback address can be
reached by every web page its user opens; so a request must name the server by a
configured host (against DNS rebinding) and must not come from another site's page.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeport.edge import status
from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnauthenticatedError,
)

LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
# A client that has begun to send a body reads no answer before it has ended; so much
# of what is over the limit is read and thrown away before the connection is closed.
DRAIN_BYTES: Final = 64 * 1024 * 1024

_HOST_RE: Final = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_BARE_IPV6_RE: Final = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*")
_SCHEMES: Final = frozenset({b"http", b"https"})
# Another port of this host is the same site; such a page may be another program's.
_FOREIGN_SITES: Final = frozenset({b"cross-site", b"same-site"})
_SHOWN: Final = 100  # characters of a refused header repeated to the caller
_MAX_LENGTH_DIGITS: Final = 18
_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1


class HostGuard:
    """Passes on only what names a configured host and comes from no foreign page.

    Args:
        app: What answers the rest. Lifespan events go through; websockets are closed.
        hosts: Names without port; case is ignored.
        check_bearer: Refuses a bearer's token by raising UNAUTHENTICATED.

    Raises:
        InvalidArgumentError: One of `hosts` is not a host name.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] = LOOPBACK_HOSTS,
        check_bearer: Callable[[str], None] | None = None,
    ) -> None:
        self._app = app
        self._check_bearer = check_bearer
        self._hosts = frozenset(_configured(host) for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a foreign request, 401 to a false bearer; pass on others."""
        if scope["type"] == "http":
            refusal = self.refusal(scope["headers"])
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await _refuse(receive, send, refusal)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> HomeportError | None:
        """Return why a request with these headers is refused, None if it is not.

        Args:
            headers: Names in lower case, as ASGI has them.
        """
        found: dict[bytes, list[bytes]] = {
            b"host": [],
            b"origin": [],
            b"sec-fetch-site": [],
            b"authorization": [],
        }
        for name, value in headers:
            if name in found:
                found[name].append(value)
        hosts, origins, sites, shown = found.values()
        return (
            self._foreign_host(hosts)
            or self._foreign_page(hosts, origins, sites)
            or self._false_bearer(shown)
        )

    def _foreign_host(self, hosts: list[bytes]) -> PermissionDeniedError | None:
        if len(hosts) != 1:
            return PermissionDeniedError(
                f"the request has {len(hosts)} Host headers: send one, with the name "
                "of the server"
            )
        if not self._is_own(hosts[0].lower()):
            return _foreign("is addressed to the host", hosts[0])
        return None

    def _foreign_page(
        self, hosts: list[bytes], origins: list[bytes], sites: list[bytes]
    ) -> PermissionDeniedError | None:
        for origin in origins:
            if not self._is_own_origin(origin.lower()):
                return _foreign("comes from a page of the origin", origin)
        for site in sites:
            if site in _FOREIGN_SITES and not _same_host(hosts[0], origins):
                return PermissionDeniedError(
                    "the request comes from a page of another site (Sec-Fetch-Site is "
                    f"{site.decode('ascii')}): only pages of this server may call it"
                )
        return None

    def _false_bearer(self, shown: list[bytes]) -> UnauthenticatedError | None:
        for value in shown:
            scheme, _, token = value.decode("latin-1").partition(" ")
            if self._check_bearer is not None and scheme.lower() == "bearer":
                try:
                    self._check_bearer(token.strip())
                except UnauthenticatedError as error:
                    return error
        return None

    def _is_own(self, authority: bytes) -> bool:
        """Tell whether `authority`, in lower case, is ours, with or without a port."""
        if authority in self._hosts:
            return True
        name, _, port = authority.rpartition(b":")
        return port.isdigit() and name in self._hosts

    def _is_own_origin(self, origin: bytes) -> bool:
        scheme, _, authority = origin.partition(b"://")
        return scheme in _SCHEMES and self._is_own(authority)


class BodyLimit:
    """Refuses a request whose body is longer than its path allows.

    A declared length is refused before the application runs; a body without one is
    counted as it streams, and the answer of the application, if it makes one after
    all, is replaced by the refusal.

    Args:
        app: What answers the rest.
        limit_bytes: For all other paths.
        by_prefix: Limits of paths that begin with a prefix; the longest prefix wins.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit_bytes: int,
        by_prefix: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._by_prefix = sorted(
            (by_prefix or {}).items(), key=lambda entry: len(entry[0]), reverse=True
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 to a body over the limit, pass on the others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit_bytes = self.limit_bytes(scope["path"])
        length = _declared_length(scope["headers"])
        if length is None:
            await self._count(scope, receive, send, limit_bytes)
        elif length <= limit_bytes:
            await self._app(scope, receive, send)
        else:
            await _refuse(receive, send, _too_long(limit_bytes, length))

    def admits(self, scope: Scope) -> bool:
        """Tell whether a request says how long its body is, and that is within."""
        length = _declared_length(scope["headers"])
        return length is not None and length <= self.limit_bytes(scope["path"])

    def limit_bytes(self, path: str) -> int:
        """Return the longest body that a path accepts."""
        for prefix, limit_bytes in self._by_prefix:
            if path.startswith(prefix):
                return limit_bytes
        return self._limit_bytes

    async def _count(
        self, scope: Scope, receive: Receive, send: Send, limit_bytes: int
    ) -> None:
        counted = _Counted(receive, send, limit_bytes)
        try:
            await self._app(scope, counted.receive, counted.send)
        except Exception:
            # Once a body was refused, what follows in the application follows from it.
            if counted.refusal is None:
                raise
        if counted.refusal is not None and not counted.answered:
            await _refuse(receive, send, counted.refusal, more=counted.more)


class _Counted:
    """The two ends of one request, whose body is counted.

    Attributes:
        refusal: What `receive` raised; None while the body is within its limit.
        more: Whether more of the body is to come.
        answered: Whether the application had begun its answer before that.
    """

    def __init__(self, receive: Receive, send: Send, limit_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._limit_bytes = limit_bytes
        self._seen_bytes = 0
        self.refusal: FailedPreconditionError | None = None
        self.more = True
        self.answered = False

    async def receive(self) -> Message:
        """Pass on the next part of the body.

        Raises:
            FailedPreconditionError: It leads over the limit; at every later call too.
        """
        if self.refusal is None:
            message = await self._receive()
            self._seen_bytes += len(message.get("body", b""))
            self.more = _has_more(message)
            if self._seen_bytes <= self._limit_bytes:
                return message
            self.refusal = _too_long(self._limit_bytes)
        raise self.refusal

    async def send(self, message: Message) -> None:
        """Pass on the answer, unless the refusal is the answer."""
        if self.refusal is None or self.answered:
            self.answered = True
            await self._send(message)


def _configured(host: str) -> bytes:
    """Return a configured host as it stands in a header, in lower case."""
    name = host.lower()
    if _BARE_IPV6_RE.fullmatch(name):
        name = f"[{name}]"
    if not _HOST_RE.fullmatch(name):
        raise InvalidArgumentError(
            f"allowed host {host!r}: give a name or address alone, without scheme, "
            "port or path"
        )
    return name.encode("ascii")


def _foreign(what: str, value: bytes) -> PermissionDeniedError:
    shown = value[:_SHOWN].decode("ascii", "replace")
    return PermissionDeniedError(
        f"the request {what} {shown!r}, which this server is not configured for: "
        "if it is yours, start the server with --allow-host NAME"
    )


def _same_host(host: bytes, origins: Iterable[bytes]) -> bool:
    """Tell whether all of one origin or more have the same name and port as `host`."""
    authorities = {origin.lower().partition(b"://")[2] for origin in origins}
    return authorities == {host.lower()}


def _declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return what Content-Length says, None if the body has to be counted."""
    length = None
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length" and value.isdigit():
            length = int(value[:_MAX_LENGTH_DIGITS])
    return length


def _too_long(limit_bytes: int, length: int | None = None) -> FailedPreconditionError:
    # Vertex says FAILED_PRECONDITION, and its clients look for "exceeds ... limit".
    size = "" if length is None else f" of {length} bytes"
    return FailedPreconditionError(
        f"the request body{size} exceeds the limit of {limit_bytes} bytes: send less, "
        "or upload it to a bucket"
    )


def _has_more(message: Message) -> bool:
    return message["type"] == "http.request" and bool(message.get("more_body"))


async def _refuse(
    receive: Receive, send: Send, error: HomeportError, *, more: bool = True
) -> None:
    """Answer with `error` once the body has been read, up to `DRAIN_BYTES`.

    Args:
        receive: ASGI's.
        send: ASGI's.
        error: The answer.
        more: Whether there is anything left to read; where not, `receive` would wait
            for the client to leave.
    """
    drained_bytes = 0
    while more and drained_bytes < DRAIN_BYTES:
        message = await receive()
        drained_bytes += len(message.get("body", b""))
        more = _has_more(message)
    await status.send_exception(send, error, {b"connection": b"close"})
