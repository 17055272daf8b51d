"""Values in rows, as a notebook shows them: every text escaped."""

import abc
import dataclasses
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar, overload

_SHOWN_ROWS: Final = 100
_SHOWN_CHARACTERS: Final = 200


class Row(abc.ABC):
    """What can stand in a table, and alone is a table of one row in a notebook."""

    __slots__ = ()

    @abc.abstractmethod
    def cells(self) -> Mapping[str, object]:
        """Return the cells by the names of their columns."""

    def _repr_html_(self) -> str:
        return table([self])


T = TypeVar("T", bound=Row)


@dataclasses.dataclass(frozen=True, slots=True)
class Listing(Sequence[T], Generic[T]):
    """Values in their order, which a notebook shows as a table."""

    values: tuple[T, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[T]:
        return iter(self.values)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Listing[T]": ...

    def __getitem__(self, index: int | slice) -> "T | Listing[T]":
        if isinstance(index, slice):
            return Listing(self.values[index])
        return self.values[index]

    def _repr_html_(self) -> str:
        return table(self.values)


def table(rows: Sequence[Row]) -> str:
    """Return rows as HTML; of many the first, with a line that says how many."""
    if not rows:
        return "<p>nothing</p>"
    shown = [row.cells() for row in rows[:_SHOWN_ROWS]]
    head = "".join(f"<th>{_text(name)}</th>" for name in shown[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(value)}</td>' for value in cells.values())}</tr>"
        for cells in shown
    )
    left = len(rows) - len(shown)
    more = f"<p>and {left} more</p>" if left else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _text(value: object) -> str:
    match value:
        case Mapping():
            text = ", ".join(f"{key}={value[key]}" for key in value)
        case tuple():
            text = ", ".join(str(one) for one in value)
        case _:
            text = str(value)
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}..."
    return html.escape(text)
