"""Bodies that are sent as they are, and answers that are written as they come."""

import re
from collections.abc import Mapping
from typing import Final

import click

from homeport.cli import rawoutput, values
from homeport.client.connection import Connection

# RFC 9110: a token; and text without control characters.
_NAME_RE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE_RE: Final = re.compile(r"[\t\x20-\x7e]*")


def _headers(
    ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Return HEADER=VALUE,... that may be headers; a click callback."""
    found = values.pairs(ctx, parameter, given)
    for name, value in found.items():
        if not _NAME_RE.fullmatch(name) or not _VALUE_RE.fullmatch(value):
            raise click.BadParameter(
                f"{name!r}={value!r:.80} is no header: a name has letters, digits and "
                "'-', a value printable ASCII",
                param=parameter,
            )
    return found


HEADERS: Final = click.option(
    "--http-headers",
    multiple=True,
    callback=_headers,
    metavar="HEADER=VALUE,...",
    help="Such as Content-Type=image/png; JSON if that one is absent.",
)
REQUEST: Final = click.option(
    "--request",
    required=True,
    help="The body: @FILE, @- for standard input, or the text itself.",
)


def send(
    connection: Connection, path: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """Post a body and write the answer to standard output, piece by piece."""
    typed = {key.lower(): value for key, value in headers.items()}
    sent = {"content-type": "application/json", **typed}
    with (
        connection.stream("POST", path, content=body, headers=sent) as pieces,
        rawoutput.standard_output() as write,
    ):
        for piece in pieces:
            write(piece)
