"""Cutting a list into pages, the same way for every list method (AIP-158)."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

from homeport.metadata import listing_sql
from homeport.resources import listing
from homeport.resources.listing import ListQuery, OrderBy, PageTokens

_Row = TypeVar("_Row")


@dataclasses.dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asks of a list.

    Attributes:
        query: What the list is; page tokens are bound to it.
        token: Where to go on, "" for the beginning.
        size: Rows at the most, 0 for the server's choice.
    """

    query: ListQuery
    token: str = ""
    size: int = 0


class Pager:
    """Cuts lists into pages.

    Args:
        tokens: Makes and reads page tokens.
    """

    def __init__(self, tokens: PageTokens) -> None:
        self._tokens = tokens

    def page(
        self,
        request: PageRequest,
        order_fields: Sequence[str],
        read: Callable[[listing_sql.Page], list[_Row]],
        position: Callable[[_Row, Sequence[OrderBy]], tuple[str | int, ...]],
    ) -> tuple[list[_Row], str]:
        """Return one page and the token of the next, "" after the last.

        Args:
            request: What the caller asks.
            order_fields: What the list can be ordered by.
            read: Returns the rows of a page.
            position: Returns where a row stands in the list.

        Raises:
            InvalidArgumentError: A bad filter, order, page size or token.
        """
        query = request.query
        order_by = listing.parse_order_by(query.order_by, order_fields)
        limit = listing.page_size(request.size)
        after = self._tokens.decode(request.token, query) if request.token else ()
        rows = read(
            listing_sql.Page(
                filter=listing.parse_filter(query.filter),
                order_by=order_by,
                after=after,
                # One more, to know whether a page follows.
                limit=limit + 1,
            )
        )
        if len(rows) <= limit:
            return rows, ""
        page = rows[:limit]
        return page, self._tokens.encode(position(page[-1], order_by), query)
