"""Online prediction: the shortest way from the socket to a worker and back.

A raw ASGI application. The body's bytes go to the worker as they came, the worker's
predictions come back as JSON text, and nothing in between parses either or asks the
database. An HTTP protocol of our own can take its place without moving what is below.
The other verbs of a model are in `model_calls`.
"""

import re
import time
from typing import Final

from starlette.types import Receive, Scope, Send

from homeport.api import exchange
from homeport.api.turns import Turns
from homeport.serving.router import Share
from homeport.worker.replica import Reply

_PATH: Final = re.compile(
    r"/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+/endpoints/[^/]+):predict"
)
_HEAD: Final = b'{"predictions":'
_METADATA: Final = b',"metadata":'


class Predictions:
    """Answers `:predict`.

    Args:
        turns: Who answers.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    @staticmethod
    def match(scope: Scope) -> str:
        """Return the endpoint a request predicts on, by full name; else ""."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return ""
        found = _PATH.fullmatch(scope["path"])
        return found[1] if found else ""

    async def __call__(
        self, endpoint: str, scope: Scope, receive: Receive, send: Send
    ) -> tuple[int, int]:
        """Answer one request; return the status and the length of the answer's body.

        Args:
            endpoint: What `match` returned.
            scope: ASGI's.
            receive: ASGI's.
            send: ASGI's.
        """
        share: Share | None = None
        began = time.perf_counter()
        try:
            body = await exchange.read(receive)
            # The metric does not count how long the client takes to send.
            began = time.perf_counter()
            share = await self._turns.next(endpoint, scope["headers"])
            retriable = exchange.is_retriable(scope["headers"])
            reply = await exchange.ask(share, body, receive, retriable=retriable)
        except exchange.DisconnectedError:
            return 0, 0
        except Exception as error:  # noqa: BLE001  # the edge of a request
            http, answer = exchange.refusal(error)
        else:
            http, answer = _answer(share, reply)
        if share is not None:
            share.meter.observe(http, time.perf_counter() - began)
        await exchange.send(send, http, answer)
        return http, len(answer)


def _answer(share: Share, reply: Reply) -> tuple[int, bytes]:
    if reply.code:
        return exchange.failure(share, reply)
    if reply.metadata:
        parts = (_HEAD, reply.payload, _METADATA, reply.metadata, share.tail)
        return 200, b"".join(parts)
    return 200, b"".join((_HEAD, reply.payload, share.tail))
