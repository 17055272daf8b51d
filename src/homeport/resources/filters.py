"""The filter of a list method (AIP-160): text to a small tree.

The grammar is the AIP's own. Which fields a method knows, and how rows are found,
belongs to its own verbs.
"""

import dataclasses
import enum
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, TypeAlias, TypeVar

from homeport.errors import InvalidArgumentError

MAX_FILTER: Final = 8192  # characters
MAX_DEPTH: Final = 32  # parentheses within parentheses
# SQLite's own limit is an expression 1000 deep, and each one takes up to four.
MAX_RESTRICTIONS: Final = 200

_SPACE_RE: Final = re.compile(r"\s*")
_FIELD_RE: Final = re.compile(r"""[^\s()"'=<>!:.,]+""")
# An unquoted value may hold what times and resource names are made of.
_VALUE_RE: Final = re.compile(r"""[^\s()"',=<>!:][^\s()"',=<>!]*""")
_OPERATOR_RE: Final = re.compile(r"<=|>=|!=|[=<>:]")
_STRING_RE: Final = re.compile(
    r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL
)
_ESCAPE_RE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final[Mapping[str, str]] = {"n": "\n", "r": "\r", "t": "\t"} | {
    mark: mark for mark in "\\\"'"
}
_BARE_RE: Final = re.compile(r"[a-z_][a-z0-9_]*")
_KEYWORDS: Final = frozenset({"AND", "OR", "NOT"})
_UNSEEN: Final = frozenset({"and", "or", "not"})


class Operator(enum.StrEnum):
    """How a restriction compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    HAS = ":"


@dataclasses.dataclass(frozen=True, slots=True)
class Restriction:
    """One comparison.

    Attributes:
        field: The path, in snake_case; what follows labels is the user's own key, as
            it was written. () for a bare word, which any field may have.
        operator: How it compares. HAS on a map asks for a key, on a list for a member.
        value: Without quotes; "*" in the value of EQUAL, NOT_EQUAL and HAS stands for
            any text, and HAS "*" for any value.
    """

    field: tuple[str, ...]
    operator: Operator
    value: str

    def __str__(self) -> str:
        if not self.field:
            return _quoted(self.value)
        path = ".".join(map(_written_segment, self.field))
        return f"{path} {self.operator} {_quoted(self.value)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """What does not match its operand."""

    operand: "Filter"

    def __str__(self) -> str:
        return f"NOT {_operand(self.operand)}"


@dataclasses.dataclass(frozen=True, slots=True)
class And:
    """What matches all of two operands or more, none of them an `And`."""

    operands: tuple["Filter", ...]

    def __str__(self) -> str:
        return " AND ".join(map(_operand, self.operands))


@dataclasses.dataclass(frozen=True, slots=True)
class Or:
    """What matches one of two operands or more, none of them an `Or`."""

    operands: tuple["Filter", ...]

    def __str__(self) -> str:
        return " OR ".join(map(_operand, self.operands))


# A parsed filter; `parse_filter(str(parsed)) == parsed`.
Filter: TypeAlias = Restriction | Not | And | Or

_G = TypeVar("_G", And, Or)


def parse_filter(text: str) -> Filter | None:
    """Return the filter that `text` says (AIP-160), None when it says nothing.

    OR binds tighter than AND. Field names may be camelCase.

    Raises:
        InvalidArgumentError: Not in the grammar, with the position (from 1); a
            function, of which there is none; over the limits.
    """
    if len(text) > MAX_FILTER:
        raise InvalidArgumentError(
            f"filter has {len(text)} characters: at most {MAX_FILTER}"
        )
    parser = _Parser(text)
    if parser.at_end():
        return None
    parsed = parser.expression()
    if not parser.at_end():
        raise parser.unexpected("AND, OR or the end")
    return parsed


def restrictions(parsed: Filter) -> Iterator[Restriction]:
    """Yield every comparison in a filter, from left to right."""
    match parsed:
        case Restriction():
            yield parsed
        case Not():
            yield from restrictions(parsed.operand)
        case And() | Or():
            for operand in parsed.operands:
                yield from restrictions(operand)


def check_fields(parsed: Filter, allowed: Collection[str]) -> None:
    """Refuse a filter on fields that the method cannot look for.

    AIP-160: an unknown field is an error, never an empty list.

    Args:
        parsed: The filter.
        allowed: First segments of the paths that may occur, in snake_case.

    Raises:
        InvalidArgumentError: Another field occurs; names those that may.
    """
    for restriction in restrictions(parsed):
        if restriction.field and restriction.field[0] not in allowed:
            raise InvalidArgumentError(
                f"filter names the field {shown('.'.join(restriction.field))}: "
                f"this list can be filtered by {', '.join(sorted(allowed))}"
            )


def snake_case(name: str) -> str:
    """Return a camelCase or snake_case field name in snake_case."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def shown(text: str, longest: int = 80) -> str:
    """Return `text` in quotes for a message, cut off after `longest` characters."""
    cut = text if len(text) <= longest else text[:longest] + "..."
    return json.dumps(cut, ensure_ascii=False)


class _Parser:
    """Reads one filter from left to right; each method leaves the place it stopped."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._restrictions = 0

    def at_end(self) -> bool:
        self._skip_space()
        return self._at == len(self._text)

    def expression(self) -> Filter:
        """AIP-160 expression and sequence: AND and mere space mean the same."""
        operands = [self._factor()]
        while not self.at_end() and self._text[self._at] != ")":
            self._keyword("AND")
            operands.append(self._factor())
        return _group(And, operands)

    def unexpected(self, expected: str) -> InvalidArgumentError:
        if self.at_end():
            return self._error(f"ends too early: expected {expected}")
        found = shown(self._text[self._at :], 20)
        return self._error(f"has {found}: expected {expected}")

    def _factor(self) -> Filter:
        operands = [self._term()]
        while self._keyword("OR"):
            operands.append(self._term())
        return _group(Or, operands)

    def _term(self) -> Filter:
        self._skip_space()
        if self._keyword("NOT"):
            return Not(self._simple())
        if self._text.startswith("-", self._at):
            self._at += 1
            return Not(self._simple())
        return self._simple()

    def _simple(self) -> Filter:
        self._skip_space()
        if not self._text.startswith("(", self._at):
            return self._restriction()
        if self._depth == MAX_DEPTH:
            raise self._error(f"has more than {MAX_DEPTH} parentheses in each other")
        self._at += 1
        self._depth += 1
        inner = self.expression()
        if self.at_end():
            raise self.unexpected('")"')
        self._at += 1
        self._depth -= 1
        return inner

    def _restriction(self) -> Filter:
        begin = self._at
        word, field = self._comparable()
        self._skip_space()
        comparator = _OPERATOR_RE.match(self._text, self._at)
        if comparator is None:
            if self._text[begin : self._at].strip() in _UNSEEN:
                self._at = begin
                raise self._error(
                    f"has {shown(word)}: AND, OR and NOT are written in capitals"
                )
            return self._counted(Restriction((), Operator.HAS, word))
        if not all(field):
            self._at = begin
            raise self.unexpected("the name of a field")
        self._at = comparator.end()
        return self._argument(field, Operator(comparator[0]))

    def _counted(self, restriction: Restriction) -> Restriction:
        self._restrictions += 1
        if self._restrictions > MAX_RESTRICTIONS:
            raise self._error(
                f"has more than {MAX_RESTRICTIONS} restrictions: look for less at once"
            )
        return restriction

    def _argument(self, field: tuple[str, ...], comparator: Operator) -> Filter:
        """Return the comparison with what follows, one value or several in groups."""
        self._skip_space()
        if not self._text.startswith("(", self._at):
            return self._counted(Restriction(field, comparator, self._value()))
        inner = self._simple()
        return _distributed(inner, field, comparator, self._error)

    def _comparable(self) -> tuple[str, tuple[str, ...]]:
        """Return what may be a bare word or the path of a field, as both."""
        begin = self._at
        segments = [self._segment(first=True)]
        while self._text.startswith(".", self._at):
            self._at += 1
            segments.append(self._segment(first=False))
        name = ".".join(text for text, _ in segments)
        if not segments[-1][1]:
            self._refuse_function(name, begin)
        # What follows the name of a map is somebody's own.
        own = snake_case(segments[0][0]).endswith("labels")
        field = tuple(
            text if quoted or (own and index) else snake_case(text)
            for index, (text, quoted) in enumerate(segments)
        )
        return name, field

    def _segment(self, *, first: bool) -> tuple[str, bool]:
        """Return one segment of a path, and whether it was quoted."""
        text = self._string()
        if text is not None:
            return text, True
        match = _FIELD_RE.match(self._text, self._at)
        if match is None or (first and match[0] in _KEYWORDS):
            raise self.unexpected("a field")
        self._at = match.end()
        return match[0], False

    def _value(self) -> str:
        text = self._string()
        if text is not None:
            return text
        match = _VALUE_RE.match(self._text, self._at)
        if match is None or match[0] in _KEYWORDS:
            raise self.unexpected("a value")
        begin = self._at
        self._at = match.end()
        self._refuse_function(match[0], begin)
        return match[0]

    def _string(self) -> str | None:
        match = _STRING_RE.match(self._text, self._at)
        if match is None:
            if self._text[self._at : self._at + 1] in {'"', "'"}:
                raise self._error("opens a quotation that never ends")
            return None
        for escape in _ESCAPE_RE.finditer(match[0]):
            if escape[1] not in _ESCAPES:
                self._at += escape.start()
                raise self._error(f"has the unknown escape {escape[0]}")
        self._at = match.end()
        text = match[1] if match[1] is not None else match[2]
        return _ESCAPE_RE.sub(lambda escape: _ESCAPES[escape[1]], text)

    def _keyword(self, word: str) -> bool:
        """Step over `word` if it stands next, by itself."""
        self._skip_space()
        match = _FIELD_RE.match(self._text, self._at)
        if match is None or match[0] != word:
            return False
        self._at = match.end()
        return True

    def _refuse_function(self, name: str, begin: int) -> None:
        if self._text.startswith("(", self._at):
            self._at = begin
            raise self._error(f"calls {shown(name)}: there are no functions")

    def _skip_space(self) -> None:
        match = _SPACE_RE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _error(self, problem: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"filter, at position {self._at + 1}, {problem}")


def _group(kind: type[_G], operands: list[Filter]) -> Filter:
    """Return one operand as it is, several under `kind` with none of that kind."""
    if len(operands) == 1:
        return operands[0]
    flat: list[Filter] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) else (operand,))
    return kind(tuple(flat))


def _distributed(
    inner: Filter,
    field: tuple[str, ...],
    comparator: Operator,
    error: Callable[[str], InvalidArgumentError],
) -> Filter:
    """Return the comparison of a field with each of a group of bare values."""
    match inner:
        case Restriction(field=()):
            return Restriction(field, comparator, inner.value)
        case Restriction():
            raise error(
                f"compares {shown('.'.join(field))} with a comparison: parentheses "
                "after an operator hold values alone"
            )
        case Not():
            return Not(_distributed(inner.operand, field, comparator, error))
        case And() | Or():
            each = [
                _distributed(one, field, comparator, error) for one in inner.operands
            ]
            return type(inner)(tuple(each))


def _operand(operand: Filter) -> str:
    return str(operand) if isinstance(operand, Restriction) else f"({operand})"


def _written_segment(segment: str) -> str:
    return segment if _BARE_RE.fullmatch(segment) else _quoted(segment)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
