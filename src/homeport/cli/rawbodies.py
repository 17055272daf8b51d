"""Bodies that are sent as they are, and answers that are written as they come."""

from collections.abc import Mapping
from typing import Final

import click

from homeport.cli import rawoutput, values
from homeport.client.connection import Connection

HEADERS: Final = click.option(
    "--http-headers",
    multiple=True,
    callback=values.pairs,
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
