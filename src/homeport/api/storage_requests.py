"""What every method of the storage surface reads from a request."""

import base64
import contextlib
import dataclasses
import functools
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import anyio.to_thread
import orjson
from starlette.requests import Request

from homeport.api import storage_fields
from homeport.errors import InvalidArgumentError
from homeport.registry.buckets import Buckets
from homeport.registry.compositions import Compositions
from homeport.registry.object_uploads import ObjectUploads
from homeport.resources.bucket import Conditions, ObjectRef

_T = TypeVar("_T")

_MAX_JSON_BYTES: Final = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class StorageVerbs:
    """The rooms below, as the storage surface calls them."""

    buckets: Buckets
    uploads: ObjectUploads
    compositions: Compositions


@dataclasses.dataclass(frozen=True)
class Call:
    """One request, its address taken apart.

    Attributes:
        request: The request; its body has not been read.
        path: As sent, still percent-encoded, without the query.
        names: The bucket, object and further names in the path, decoded.
        query: Parameters; of one that is repeated the last.
        threads: Where blocking calls go, so that storage never takes the threads of
            other surfaces.
    """

    request: Request
    path: str
    names: tuple[str, ...]
    query: Mapping[str, str]
    threads: anyio.CapacityLimiter

    @property
    def base_url(self) -> str:
        """Scheme and authority the caller reached the server by."""
        url = self.request.base_url
        return f"{url.scheme}://{url.netloc}"

    async def run(
        self, function: Callable[..., _T], *arguments: object, **options: object
    ) -> _T:
        """Return what a blocking function returns, run on a thread.

        A request that is cancelled waits for it: the thread may be writing.
        """
        work = functools.partial(function, *arguments, **options)
        return await anyio.to_thread.run_sync(work, limiter=self.threads)

    async def json(self) -> dict[str, Any]:
        """Return the body, an absent one as an empty object.

        Raises:
            InvalidArgumentError: It is not a JSON object, or over 1 MiB.
        """
        body = bytearray()
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > _MAX_JSON_BYTES:
                raise InvalidArgumentError(
                    f"the JSON body is over {_MAX_JSON_BYTES} bytes: send less metadata"
                )
        return parse_json(bytes(body))

    def selected(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return what the caller wants to know of a document.

        Raises:
            InvalidArgumentError: The parameter `fields` is not of its grammar.
        """
        return storage_fields.selected(document, self.query.get("fields", ""))

    def number(self, name: str) -> int | None:
        """Return a parameter that is a whole number, None if absent.

        Raises:
            InvalidArgumentError: It is not one, or negative.
        """
        text = self.query.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004  # int64
            raise InvalidArgumentError(f"{name} is {text!r}: expected a whole number")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false, false if absent."""
        return self.query.get(name, "").lower() == "true"

    def conditions(self, prefix: str = "if") -> Conditions:
        """Return the preconditions among the parameters.

        Args:
            prefix: "ifSource" for those on the source of a copy.

        Raises:
            InvalidArgumentError: One is not a whole number.
        """
        return Conditions(
            generation_match=self.number(f"{prefix}GenerationMatch"),
            generation_not_match=self.number(f"{prefix}GenerationNotMatch"),
            metageneration_match=self._metageneration(f"{prefix}Meta{{}}Match"),
            metageneration_not_match=self._metageneration(f"{prefix}Meta{{}}NotMatch"),
        )

    def _metageneration(self, name: str) -> int | None:
        # google-cloud-storage writes ifMetaGenerationNotMatch in uploads and downloads.
        known = self.number(name.format("generation"))
        return self.number(name.format("Generation")) if known is None else known

    def object_ref(self) -> ObjectRef:
        """Return the object that path and parameters name.

        Raises:
            InvalidArgumentError: A parameter is not a whole number.
        """
        bucket, name = self.names
        return ObjectRef(bucket, name, self.number("generation"), self.conditions())


def page_start(token: str, parameter: str = "pageToken") -> str:
    """Return where the page begins that a token stands for, "" for "".

    Raises:
        InvalidArgumentError: It is not a token of ours.
    """
    with contextlib.suppress(ValueError):
        return base64.b64decode(token, b"-_", validate=True).decode()
    raise InvalidArgumentError(
        f"{parameter} {token!r:.100} is not one that a list returned: list again from "
        "the first page"
    )


def page_token(start: str) -> str:
    """Return the token of the page that begins at a name."""
    return base64.urlsafe_b64encode(start.encode()).decode()


def parse_json(body: bytes) -> dict[str, Any]:
    """Return a JSON object, an empty body as an empty object.

    Raises:
        InvalidArgumentError: It is not a JSON object.
    """
    if not body.strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError("the body must be a JSON object")
    return document


def query_of(request: Request) -> dict[str, str]:
    """Return the parameters of a request, of one that is repeated the last.

    Raises:
        InvalidArgumentError: One is not UTF-8.
    """
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"the parameters {text!r:.200} are not percent-encoded UTF-8"
        ) from error
    return dict(pairs)


def decoded(segment: str) -> str:
    """Return a path segment without its percent-encoding.

    Raises:
        InvalidArgumentError: It is not UTF-8.
    """
    try:
        return urllib.parse.unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{segment!r} in the path is not percent-encoded UTF-8"
        ) from error
