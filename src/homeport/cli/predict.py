"""`homeport predict`: ask an endpoint."""

import base64
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from homeport.cli import options
from homeport.client import registry
from homeport.errors import InvalidArgumentError

_SHOWN: Final = 80
_EPILOG: Final = """\b
Examples:
  homeport predict mlp --json '[[0.1, 0.2, 0.3, 0.4]]'
  homeport predict mlp --json request.json
  generate | homeport predict mlp --json -
  homeport predict digits --file three.png --file seven.png
"""


@click.command(epilog=_EPILOG)
@click.argument("endpoint")
@click.option(
    "--json",
    "text",
    help='A request {"instances": [...]} or the list alone: JSON text, a file that '
    "holds it, or - for standard input.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Each file becomes an instance {"data": {"b64": BASE64}}, as the sample of a '
    "check does: the handler gets its bytes. May be repeated.",
)
@options.server_options
def predict(
    endpoint: str, *, text: str | None, files: tuple[Path, ...], **server: str
) -> None:
    """Send instances to ENDPOINT (name or id) and print its answer as JSON."""
    if bool(text) == bool(files):
        raise click.UsageError("give either --json or --file")
    body = _request(text) if text else _from_files(files)
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        answer = registry.predict(connection, found, body)
    click.echo(json.dumps(json.loads(answer), indent=2, ensure_ascii=False))


def _request(text: str) -> bytes:
    document = _document(text)
    if not isinstance(document, dict | list):
        raise InvalidArgumentError(
            f"--json {text.strip()[:_SHOWN]}: a request is a list of instances, "
            'such as [1, 2], or {"instances": [...]}'
        )
    request: Any = document if isinstance(document, dict) else {"instances": document}
    return json.dumps(request).encode()


def _document(text: str) -> object:
    """Return what JSON text, the file of that name or standard input says."""
    if text == "-":
        return _parsed(sys.stdin.read())
    if text.lstrip().startswith(("{", "[")):
        return _parsed(text)
    path = Path(text)
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(text)
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InvalidArgumentError(
            f"--json {text[:_SHOWN]}: neither JSON text nor a readable file ({reason})"
        ) from error


def _parsed(text: str) -> object:
    try:
        document: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(
            f"the request is not JSON: {error.msg} at line {error.lineno} "
            f"column {error.colno}"
        ) from error
    except RecursionError as error:
        raise InvalidArgumentError("the request is nested too deeply") from error
    return document


def _from_files(files: tuple[Path, ...]) -> bytes:
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents, strict=True):
        if file.suffix == ".json" and _is_request(content):
            raise InvalidArgumentError(
                f"--file {file.name} would send this request as the bytes of one "
                f"instance: give it with --json {file.name}"
            )
    rows = [
        {"data": {"b64": base64.b64encode(content).decode()}} for content in contents
    ]
    return json.dumps({"instances": rows}).encode()


def _is_request(content: bytes) -> bool:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "instances" in document
