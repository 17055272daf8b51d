"""What every list method shares: filter, order, page size and page token.

Only the pure half: text in, values out. The filter's grammar is in `filters` and
re-exported here.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.resources import filters
from homeport.resources.filters import (
    And,
    Filter,
    Not,
    Operator,
    Or,
    Restriction,
    check_fields,
    parse_filter,
    restrictions,
)

__all__ = [
    "And",
    "Filter",
    "ListQuery",
    "Not",
    "Operator",
    "Or",
    "OrderBy",
    "PageTokens",
    "Restriction",
    "check_fields",
    "page_size",
    "parse_filter",
    "parse_order_by",
    "restrictions",
]

MAX_ORDER_BY: Final = 1024  # characters
MAX_TOKEN: Final = 4096  # characters
_TAG_BYTES: Final = 16
_DIRECTIONS: Final[Mapping[str, bool]] = {"asc": False, "desc": True}


@dataclasses.dataclass(frozen=True, slots=True)
class OrderBy:
    """One key to sort by, in snake_case."""

    field: str
    descending: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ListQuery:
    """What a page token is bound to; the page size may change between pages."""

    method: str
    parent: str
    filter: str = ""
    order_by: str = ""


def parse_order_by(text: str, allowed: Collection[str]) -> tuple[OrderBy, ...]:
    """Return the keys to sort by, the most important first (AIP-132).

    Args:
        text: Comma list of fields, each with " asc" or " desc" or neither; "" for
            the method's own order.
        allowed: The fields that may occur, in snake_case.

    Raises:
        InvalidArgumentError: Another field, another direction, or a field twice.
    """
    if len(text) > MAX_ORDER_BY:
        raise InvalidArgumentError(
            f"order_by has {len(text)} characters: at most {MAX_ORDER_BY}"
        )
    keys = tuple(_order(part, allowed) for part in text.split(",") if text.strip())
    fields = [key.field for key in keys]
    for field in fields:
        if fields.count(field) > 1:
            raise InvalidArgumentError(f"order_by names {field} twice: once is enough")
    return keys


def page_size(requested: int, *, default: int = 100, maximum: int = 1000) -> int:
    """Return how many rows a page has.

    Raises:
        InvalidArgumentError: `requested` is negative.
    """
    # AIP-158: 0 means the server chooses, too many means as many as there may be.
    if requested < 0:
        raise InvalidArgumentError(
            f"page_size is {requested}: at least 1, or 0 for the default of {default}"
        )
    return min(requested or default, maximum)


@dataclasses.dataclass(frozen=True, slots=True)
class PageTokens:
    """Makes and reads page tokens: opaque, url-safe, and good for one query only.

    Attributes:
        secret: Keys the signature; tokens of another secret are refused.
    """

    secret: bytes = dataclasses.field(repr=False)

    def encode(self, position: tuple[str | int, ...], query: ListQuery) -> str:
        """Return the token of the page that begins after `position`."""
        payload = json.dumps(position, separators=(",", ":")).encode("utf-8")
        token = base64.urlsafe_b64encode(self._tag(payload, query) + payload)
        return token.decode("ascii").rstrip("=")

    def decode(self, token: str, query: ListQuery) -> tuple[str | int, ...]:
        """Return the position in a token of this query.

        Raises:
            InvalidArgumentError: Forged, or made for another method, parent, filter
                or order.
        """
        signed = _unbase64(token)
        tag, payload = signed[:_TAG_BYTES], signed[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(payload, query)):
            raise InvalidArgumentError(
                f"page_token {filters.shown(token)} does not belong to this list: "
                "keep parent, filter and order_by as they were, or begin again "
                "without a token"
            )
        return tuple(json.loads(payload))

    def _tag(self, payload: bytes, query: ListQuery) -> bytes:
        bound = json.dumps(dataclasses.astuple(query)).encode("utf-8")
        signature = hmac.new(self.secret, digestmod=hashlib.sha256)
        signature.update(hashlib.sha256(bound).digest())
        signature.update(payload)
        return signature.digest()[:_TAG_BYTES]


def _order(part: str, allowed: Collection[str]) -> OrderBy:
    words = part.split() or [""]
    field = filters.snake_case(words[0])
    if field not in allowed:
        raise InvalidArgumentError(
            f"order_by names the field {filters.shown(words[0])}: "
            f"this list can be ordered by {', '.join(sorted(allowed))}"
        )
    direction = words[1] if len(words) > 1 else "asc"
    if len(words) > 2 or direction not in _DIRECTIONS:  # noqa: PLR2004  # a field and its direction
        raise InvalidArgumentError(
            f"order_by has {filters.shown(part.strip())}: a field may be followed by "
            "asc or desc"
        )
    return OrderBy(field, descending=_DIRECTIONS[direction])


def _unbase64(token: str) -> bytes:
    """Return the bytes of a token, none for what is not base64."""
    if len(token) > MAX_TOKEN:
        return b""
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return b""
