"""The options of lists, which the server carries out."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from homeport.client.resources import Listing

_F = TypeVar("_F", bound=Callable[..., Any])
_LARGEST_PAGE: Final = 1000


def options(example: str) -> Callable[[_F], _F]:
    """Return what adds them to a command; `listing` is what they say.

    Args:
        example: Of a filter.
    """

    def add(command: _F) -> _F:
        for option in (
            click.option(
                "--limit", type=click.IntRange(min=1), help="At most so many."
            ),
            click.option(
                "--page-size",
                type=click.IntRange(1, _LARGEST_PAGE),
                default=None,
                help="How many the server tells at once.",
            ),
            click.option(
                "--sort-by",
                default="",
                metavar="[~]FIELD,...",
                help="As gcloud writes an order: ~ is descending.",
            ),
            click.option(
                "--order-by",
                default="",
                metavar="FIELD [desc],...",
                help="As the API writes one, such as 'create_time desc'.",
            ),
            click.option(
                "--filter",
                "filter_text",
                default="",
                help=f"AIP-160, such as {example}",
            ),
        ):
            command = option(command)
        return command

    return add


def asked(values: dict[str, Any]) -> Listing:
    """Take the options of a list out of a command's values.

    Raises:
        click.UsageError: Two orders, or one of nothing.
    """
    order_by, sort_by = values.pop("order_by"), values.pop("sort_by")
    if order_by and sort_by:
        raise click.UsageError("give either --order-by or --sort-by")
    return Listing(
        filter=values.pop("filter_text"),
        order_by=order_by or _order(sort_by),
        page_size=values.pop("page_size") or 0,
        limit=values.pop("limit"),
    )


def _order(sort_by: str) -> str:
    fields = [field.strip() for field in sort_by.split(",") if field.strip()]
    if "~" in fields:
        raise click.UsageError("--sort-by ~ names no field: give one behind it")
    return ",".join(
        f"{field[1:]} desc" if field.startswith("~") else field for field in fields
    )
