"""What Vertex AI's clients can ask and Homeport does not do: refused by name.

A method of the services we speak that no other route answers has its line here; a test
compares the two with the official client's own list.
"""

import dataclasses
import re
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import access, requests
from homeport.errors import (
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    UnimplementedError,
)

_PUBLISHED: Final = requests.PARENT + "/publishers/{publisher}/models/{model}"
_SLICE: Final = requests.MODEL + "/evaluations/{evaluation}/slices/{slice}"

_PREDICT: Final = "send instances to :predict"
_GENERATE: Final = "Homeport serves the models you register and generates nothing"
_ACCESS: Final = "who reaches the server may do everything; see docs/security.md"
# Vertex AI's paths, of whichever service.
_VERTEX: Final = re.compile(r"/(?:v1|v1beta1|ui)/(?:projects|publishers|endpoints)/")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """A method that is not there.

    Attributes:
        rpc: Its name in the service.
        verb: Of HTTP.
        path: Behind the version.
        instead: Completes "... is not implemented: ".
    """

    rpc: str
    verb: str
    path: str
    instead: str


METHODS: Final = (
    Method(
        "BatchImportEvaluatedAnnotations",
        "POST",
        _SLICE + ":batchImport",
        "import the metrics of slices with slices:batchImport",
    ),
    Method(
        "UpdateExplanationDataset",
        "POST",
        requests.MODEL + ":updateExplanationDataset",
        "predictions are not explained here",
    ),
    *(
        Method(verb[0].upper() + verb[1:], "POST", f"{_PUBLISHED}:{verb}", _GENERATE)
        for verb in (
            "embedContent",
            "predict",
            "rawPredict",
            "serverStreamingPredict",
            "streamRawPredict",
        )
    ),
    *(
        Method(verb[0].upper() + verb[1:], "POST", f"{resource}:{verb}", _GENERATE)
        for verb in ("generateContent", "streamGenerateContent")
        for resource in (
            requests.ENDPOINT,
            _PUBLISHED,
            "/endpoints/{endpoint}",
            "/publishers/{publisher}/models/{model}",
        )
    ),
    *(
        Method(verb[0].upper() + verb[1:], "POST", f"{resource}:{verb}", _ACCESS)
        for verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions")
        for resource in (requests.MODEL, requests.ENDPOINT, _PUBLISHED)
    ),
)


def routes() -> list[Route]:
    """Return the routes that refuse, without the version prefix."""
    return [
        Route(method.path, _refusing(method), methods=[method.verb])
        for method in METHODS
    ]


def no_route(request: Request) -> HomeportError:
    """Return what a request is told that no route takes."""
    path, asked = request.scope["path"], access.asked(request.scope)
    if _CONTROL.search(path):
        # The framework's mounts end at a line feed, so that it is no method's fault.
        return InvalidArgumentError(
            f"{asked} has control characters in its path: leave them out"
        )
    if _VERTEX.match(path):
        return UnimplementedError(
            f"{asked} is not implemented: Homeport's docs/compatibility.md lists the "
            "methods that are"
        )
    return NotFoundError(
        f"{asked} is not a method of this server: Homeport's docs/compatibility.md "
        "lists those that are"
    )


def _refusing(method: Method) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(_: Request) -> Response:
        raise UnimplementedError(f"{method.rpc} is not implemented: {method.instead}")

    return refuse
