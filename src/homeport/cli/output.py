"""How what a server tells is printed: tables for people, JSON and YAML for programs.

The option is --output, not gcloud's --format: that takes a language of its own
(projections, transforms), of which we would speak four words.
"""

import enum
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import click

from homeport.cli.texts import printable

# What a server tells, or a file.
_Document: TypeAlias = Mapping[str, Any]
Column: TypeAlias = tuple[str, Callable[[_Document], object]]
_F = TypeVar("_F", bound=Callable[..., Any])
_GAP: Final = "  "


class Output(enum.StrEnum):
    """The forms there are."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def option(default: Output = Output.TABLE, *, named: bool = True) -> Callable[[_F], _F]:
    """Return what adds --output to a command.

    Args:
        default: The form without it.
        named: Whether what is shown has a name.
    """
    forms = [one for one in Output if named or one is not Output.NAME]
    names = ", name the full names alone" if named else ""
    return click.option(
        "--output",
        "form",
        type=click.Choice([one.value for one in forms]),
        callback=lambda ctx, parameter, value: Output(value),  # noqa: ARG005  # click's
        default=default.value,
        show_default=True,
        help=f"json and yaml have everything{names}.",
    )


def show_list(
    found: Iterable[_Document], form: Output, columns: Sequence[Column]
) -> None:
    """Print a list of resources; names are printed as they come."""
    if form is Output.NAME:
        for one in found:
            click.echo(one["name"])
    elif form is Output.TABLE:
        rows = [[_cell(read(one)) for _, read in columns] for one in found]
        table([title for title, _ in columns], rows)
    else:
        show_document(list(found), form)


def show(found: _Document, form: Output, columns: Sequence[Column]) -> None:
    """Print one resource."""
    if form in {Output.JSON, Output.YAML}:
        show_document(found, form)
    else:
        show_list([found], form, columns)


def show_document(found: object, form: Output) -> None:
    """Print anything as JSON, or as YAML if that is asked for."""
    if form is not Output.YAML:
        text = json.dumps(found, indent=2, ensure_ascii=False)
        click.echo("".join(one if _safe(one) else _escaped(one) for one in text))
        return
    # Deferred: 30 ms that no other form needs.
    import yaml  # noqa: PLC0415

    click.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), nl=False)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their titles, as wide as they are: nothing is cut."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    click.echo(_line(titles, widths, bold=_coloured()))
    for row in rows:
        click.echo(_line(row, widths))


def joined(pairs: Mapping[str, object] | None) -> str:
    """Return a map as one cell."""
    return ", ".join(f"{key}={value}" for key, value in (pairs or {}).items())


def last_segment(name: str) -> str:
    """Return the id in a full name."""
    return name.rpartition("/")[2]


def _line(cells: Sequence[str], widths: Sequence[int], *, bold: bool = False) -> str:
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    text = _GAP.join(padded).rstrip()
    return click.style(text, bold=True) if bold else text


def _coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _cell(value: object) -> str:
    return printable("" if value is None else str(value))


def _safe(one: str) -> bool:
    return one.isprintable() or one == "\n"


def _escaped(one: str) -> str:
    return json.dumps(one)[1:-1]
