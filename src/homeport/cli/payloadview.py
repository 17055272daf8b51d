"""How `homeport check --explain-payload` shows a request, to people and programs."""

import itertools
from typing import Final

import click

from homeport.checking.payloads import FORM, Payload, Shape

_MOST_CHARACTERS: Final = 160


def show(name: str, payload: Payload, shapes: tuple[Shape, ...]) -> None:
    """Print each way the request may come, and the handler's `data` in it."""
    click.echo(f"{name}: {payload.kind}")
    for surface, group in itertools.groupby(shapes, key=lambda shape: shape.surface):
        click.echo()
        click.secho(surface, bold=True)
        for shape in group:
            for line in _lines(shape):
                click.echo(f"  {line}")


def documents(shapes: tuple[Shape, ...]) -> list[dict[str, str | None]]:
    """Return the same for machines: `data` is what Python writes for it."""
    return [_document(shape) for shape in shapes]


def _lines(shape: Shape) -> list[str]:
    envelope = f"  service_envelope={shape.envelope}" if shape.envelope else ""
    content = _shown(_readable(shape.body))
    if shape.content_type == FORM:
        content = f"data={content}"
    note = [f"    ({shape.note})"] if shape.note else []
    return [
        f"POST {shape.path}  {shape.content_type}{envelope}",
        *([f"    {content}"] if shape.body else []),
        *note,
        f"    {_outcome(shape)}",
    ]


def _outcome(shape: Shape) -> str:
    if shape.data is None:
        return f"no data: {shape.refusal}"
    return f"data = {_shown(repr(shape.data))}"


def _document(shape: Shape) -> dict[str, str | None]:
    return {
        "surface": shape.surface.value,
        "path": shape.path,
        "service_envelope": shape.envelope,
        "content_type": shape.content_type,
        "body": _readable(shape.body),
        "data": None if shape.data is None else repr(shape.data),
        "refusal": shape.refusal,
        "note": shape.note,
    }


def _readable(body: bytes) -> str:
    """Return text as it is, and other bytes as Python writes them."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return repr(body)
    one_line = text.replace("\n", " ").strip()
    return one_line if one_line.isprintable() else repr(body)


def _shown(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}... ({len(text):,} characters)"
