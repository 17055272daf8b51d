"""A replica that speaks HTTP: a container, or a program on this host."""

import asyncio
import contextlib
import logging
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from homeport.errors import (
    Code,
    DeadlineExceededError,
    HandlerError,
    HomeportError,
    UnavailableError,
    UnimplementedError,
)
from homeport.resources import probes
from homeport.serving.contract import Contract
from homeport.serving.housing import LONGEST_GOODBYE_S, Housing, UnwellError
from homeport.serving.httpclient import (
    HttpAnswer,
    HttpClient,
    HttpFailedError,
    HttpRequest,
)
from homeport.serving.probing import Prober
from homeport.serving.runtime import Launch
from homeport.worker.output import reason_of_end
from homeport.worker.protocol import MAX_PAYLOAD_BYTES, Head, Reply
from homeport.worker.redaction import redacted
from homeport.worker.replica import LoadReport, ending
from homeport.worker.requests import Request, RequestKind

_log: Final = logging.getLogger(__name__)
# Requests that a program is given at once: the pool sends twice as many as make one
# call of a worker, and leaves it to the program how it orders them.
_HALF_AT_ONCE: Final = 16
_SERVICE_TIME_WEIGHT: Final = 0.2
_UNTIL_KNOWN_S: Final = 2.0
_JSON: Final = "application/json"
_SHOWN_CHARACTERS: Final = 2000
# Of the client's, those of its connection to us.
_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip


async def started(
    housing: Housing,
    contract: Contract,
    launch: Launch,
    *,
    name: str,
    on_room: Callable[[], None],
) -> "HttpReplica":
    """Return the replica of a program when it is well; nothing is left of it if not.

    Args:
        housing: It runs in this, and ends with it.
        contract: Its routes and port.
        launch: What it is started from.
        name: Of the image or command.
        on_room: Called when an answer has made room.

    Raises:
        UnwellError: It ended, or was not well in time.
    """
    care = probes.read(launch.container.kept if launch.container else {})
    prober = Prober(housing, contract, care)
    limit_s = care.deployment_timeout_s or launch.load_timeout_s
    waiting = asyncio.create_task(prober.wait_well(limit_s), name=f"start {name}")
    try:
        ends: set[asyncio.Future[Any]] = {waiting, housing.exited}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if housing.exited.done():
            raise UnwellError(  # noqa: TRY301  # cleaned up as every failure
                f"the {housing.noun} {housing.exited.result()} before it was well: "
                f"{reason_of_end(has_printed=housing.has_printed)}"
            )
        await waiting
        return HttpReplica(housing, contract, name, on_room, prober, launch.environment)
    except BaseException:
        waiting.cancel()
        await asyncio.wait({waiting})
        housing.kill("killed: it is not needed any more")
        await asyncio.wait({housing.closed})
        raise


class HttpReplica:
    """A program that is well and takes requests; see `serving.runtime.Replica`.

    Args:
        housing: What it runs in; ended by this replica from now on.
        contract: Its routes and port.
        name: Of the image or command, for the report.
        on_room: Called when an answer has made room.
        prober: Looks at it from now on.
        environment: The deployment's variables; no failure repeats their values.
    """

    def __init__(
        self,
        housing: Housing,
        contract: Contract,
        name: str,
        on_room: Callable[[], None],
        prober: Prober,
        environment: Mapping[str, str],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._housing = housing
        self._contract = contract
        self._environment = environment
        self._on_room = on_room
        self._report = LoadReport(housing.pid, _HALF_AT_ONCE, 0.0, None, name)
        self._client = HttpClient(housing.port(contract.port), MAX_PAYLOAD_BYTES)
        self._pending: dict[asyncio.Future[Reply], asyncio.Task[None]] = {}
        # When each of them was sent, in order.
        self._sent: dict[asyncio.Future[Reply], float] = {}
        self._answered_at = 0.0
        # Whether, since the last answer, a request has passed its deadline.
        self._is_suspect = False
        self._service_time_s = 0.0
        self._stopping = False
        self.is_well = True
        self._watch = asyncio.create_task(self._attend(prober), name=f"watch {name}")
        housing.exited.add_done_callback(self._on_exit)
        housing.closed.add_done_callback(self._on_closed)

    @property
    def report(self) -> LoadReport:
        """How it is called here; it says nothing of itself."""
        return self._report

    @property
    def outstanding(self) -> int:
        """Requests sent and not answered."""
        return len(self._pending)

    @property
    def service_time_s(self) -> float:
        """Seconds from answer to answer while it works, a moving average."""
        return self._service_time_s

    @property
    def busy_since(self) -> float | None:
        """Since when it owes an answer, if an earlier request got none in time.

        It may do several things at once, and one that takes long is no sign: only a
        program that has let one request pass its deadline, and answers nothing while
        another does, hangs.
        """
        oldest = next(iter(self._sent.values()), None)
        if oldest is None or not self._is_suspect:
            return None
        return max(oldest, self._answered_at)

    def predict(
        self, body: bytes, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        """Send a :predict body to the predict route; the reply is its predictions."""
        request = HttpRequest(
            "POST", self._contract.predict_route, {"content-type": _JSON}, body
        )
        return self._begin(request, reply, self._predictions)

    def call(
        self, request: Request, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        """Send a request of any kind; a raw one as it is, its answer as it comes."""
        if request.kind is RequestKind.PREDICT:
            return self.predict(request.body, reply)
        if request.kind is RequestKind.EXPLAIN:
            reply.set_exception(
                UnimplementedError(
                    f"a {self._housing.noun} is asked for predictions alone: only "
                    "archives with an explain_handle are explained here"
                )
            )
            return reply
        on_piece = request.on_piece
        sent = HttpRequest(
            "POST",
            self._target(request.path),
            _forwarded(request),
            request.body,
            None if on_piece is None else lambda part: on_piece(_raw(part)),
        )
        return self._begin(sent, reply, _raw)

    def cancel(self, reply: asyncio.Future[Reply]) -> None:
        """Do nothing: every request has begun; who cancels `reply` ends it."""

    async def stop(self, grace_s: float, why: HomeportError | None = None) -> None:
        """End the program after what it has in work, or the grace; twice is fine."""
        self._stopping = self._stopping or why is None
        end = time.monotonic() + grace_s
        if why is not None:
            self._fail_all(why)
        if self._pending and grace_s > 0:
            await asyncio.wait(self._pending.values(), timeout=grace_s)
        left_s = min(end - time.monotonic(), LONGEST_GOODBYE_S)
        if left_s > 0 and not self._housing.exited.done():
            self._housing.terminate()
            await asyncio.wait({self._housing.exited}, timeout=left_s)
        self._housing.kill(ending(grace_s, why))
        await asyncio.wait({self.closed})

    def _target(self, path: str) -> str:
        if not path:
            return self._contract.predict_route
        return f"/{urllib.parse.quote(path, safe='/:@!$&,;=~+()*?%')}"

    def _begin(
        self,
        request: HttpRequest,
        reply: asyncio.Future[Reply],
        read: Callable[[HttpAnswer], Reply],
    ) -> asyncio.Future[Reply]:
        if self.lost.done():
            reply.set_exception(self._gone())
            return reply
        self._sent[reply] = time.monotonic()
        task = asyncio.create_task(self._answer(request, reply, read))
        self._pending[reply] = task
        # Who gives up a request, or fails it, ends its connection.
        reply.add_done_callback(lambda _: task.cancel())
        task.add_done_callback(lambda _: self._on_done(reply))
        return reply

    async def _answer(
        self,
        request: HttpRequest,
        reply: asyncio.Future[Reply],
        read: Callable[[HttpAnswer], Reply],
    ) -> None:
        try:
            result = read(await self._client.ask(request))
        except HttpFailedError as error:
            if error.ended:
                # A program that has ended is told as that, with how it ended.
                await asyncio.wait({self._housing.exited}, timeout=_UNTIL_KNOWN_S)
            if not reply.done():
                reply.set_exception(self._no_answer(error))
        except HomeportError as error:
            if not reply.done():
                reply.set_exception(error)
        else:
            self._is_suspect = False
            if not reply.done():
                reply.set_result(result)

    def _on_done(self, reply: asyncio.Future[Reply]) -> None:
        del self._pending[reply]
        oldest = next(iter(self._sent.values()))
        del self._sent[reply]
        if _is_late(reply):
            # What is sent from now on shows whether it hangs.
            self._is_suspect = True
        else:
            now = time.monotonic()
            taken_s = now - max(oldest, self._answered_at)
            known = self._service_time_s or taken_s
            self._service_time_s = known + _SERVICE_TIME_WEIGHT * (taken_s - known)
            self._answered_at = now
        self._on_room()

    def _no_answer(self, error: HttpFailedError) -> HomeportError:
        if self._housing.exited.done():
            return self._gone()
        sentence = (
            f"the {self._housing.noun} gave no answer: {error.sentence}; its log may "
            "have the reason"
        )
        return UnavailableError(sentence) if error.ended else HandlerError(sentence)

    def _gone(self) -> UnavailableError:
        exited = self._housing.exited
        how = exited.result() if exited.done() else "it is being ended"
        return UnavailableError(
            f"the {self._housing.noun} ended before it answered ({how}): try again"
        )

    def _predictions(self, answer: HttpAnswer) -> Reply:
        noun = self._housing.noun
        if not 200 <= answer.status < 300:  # noqa: PLR2004  # HTTP
            said = self._redacted(_shown(answer.body))
            text = f"the {noun} answered {answer.status} to {self._asked}: {said}"
            return Reply(_code(answer.status), text.encode(), is_redacted=True)
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            type_ = answer.headers.get("content-type", "no content type")[:100]
            return self._refused(f"what is no JSON, but {self._redacted(type_)}")
        if not isinstance(document, dict):
            return self._refused(f"a JSON {type(document).__name__} and no object")
        found = document.get("predictions")
        if not isinstance(found, list):
            return self._refused('no list of "predictions"')
        beside = document.get("metadata")
        metadata = b"" if beside is None else orjson.dumps(beside)
        return Reply(0, orjson.dumps(found), metadata=metadata)

    def _refused(self, what: str) -> Reply:
        text = (
            f"the {self._housing.noun} answered {self._asked} with {what}: it has to "
            'answer {"predictions": [...]}'
        )
        return Reply(Code.INTERNAL, text.encode(), is_redacted=True)

    def _redacted(self, said: str) -> str:
        return redacted([said], self._environment)[0]

    @property
    def _asked(self) -> str:
        return f"POST {self._contract.predict_route}"

    async def _attend(self, prober: Prober) -> None:
        why = await prober.watch(self._on_health)
        self._set_lost()
        self._housing.kill(f"killed: {why}")

    def _on_health(self, why: str) -> None:
        """Take no requests while the program says that it cannot; it is not ended."""
        self.is_well = not why
        told = f"takes no traffic: {why}" if why else "is well and takes traffic again"
        _log.warning("the %s of %s %s", self._housing.noun, self.report.handler, told)
        if self.is_well:
            self._on_room()

    def _on_exit(self, exited: asyncio.Future[str]) -> None:
        self._set_lost()
        self._watch.cancel()
        del exited
        self._fail_all(self._gone())

    def _on_closed(self, closed: asyncio.Future[str]) -> None:
        self._client.close()
        with contextlib.suppress(asyncio.InvalidStateError):
            self.closed.set_result("stopped" if self._stopping else closed.result())

    def _fail_all(self, error: HomeportError) -> None:
        for reply in tuple(self._pending):
            if not reply.done():
                reply.set_exception(error)

    def _set_lost(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


def _is_late(reply: asyncio.Future[Reply]) -> bool:
    if reply.cancelled():
        return False
    return isinstance(reply.exception(), DeadlineExceededError)


def _raw(answer: HttpAnswer) -> Reply:
    headers = {
        name: value for name, value in answer.headers.items() if name not in _OURS
    }
    return Reply(0, answer.body, Head(answer.status, headers))


def _forwarded(request: Request) -> dict[str, str]:
    """Return the client's headers that go on to the program."""
    return {
        name: value
        for name, value in request.headers.items()
        if name not in _OURS and value.isprintable()
    }


def _code(status: int) -> Code:
    """Return what a status that is no success means to who asked for predictions."""
    named = {
        429: Code.RESOURCE_EXHAUSTED,
        503: Code.UNAVAILABLE,
        504: Code.DEADLINE_EXCEEDED,
    }
    # Another 4xx is about the instances: its own 404 is not the endpoint's.
    client = 400 <= status < 500  # noqa: PLR2004  # HTTP
    return named.get(status, Code.INVALID_ARGUMENT if client else Code.INTERNAL)


def _shown(body: bytes) -> str:
    text = body[:_SHOWN_CHARACTERS].decode("utf-8", "replace").strip()
    return text or "(nothing)"
