"""What one file of Python source imports, read from its text: nothing is run."""

import ast
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from homeport.packing import sourcecode

_CAUGHT: Final = frozenset(
    {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
)
# A branch on one of these is taken on some machines alone.
_HOST_FACTS: Final = frozenset({"version_info", "platform", "find_spec"})
_HOST_NAMES: Final = frozenset({"os.name", "sys.implementation"})
# What every request, or every start, comes to.
_CALLED: Final = frozenset(
    {"__init__", "__call__", "forward", "handle", "inference", "initialize"}
    | {"postprocess", "preprocess"}
)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Statement:
    """One import.

    Attributes:
        line: Where it begins, from 1.
        module: Absolute, or with a dot for each level in front.
        names: What `from` takes out of it: attributes or modules.
        optional: Whether the code goes on without the module.
        late: Whether it stands in a function, or a branch of one, that may never run.
    """

    line: int
    module: str
    names: tuple[str, ...] = ()
    optional: bool = False
    late: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a piece of source stands; the flags are `Statement`'s."""

    optional: bool = False
    late: bool = False
    in_function: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One file.

    Attributes:
        statements: By line.
        changes_path: Whether it touches `sys.path`, so that other folders may be
            imported from.
    """

    statements: tuple[Statement, ...]
    changes_path: bool


def read(path: Path) -> Source:
    """Return what a file imports, wherever in it.

    What type checkers alone see, and what runs only in a script, is left out.

    Raises:
        InvalidArgumentError: It does not compile.
    """
    found: list[Statement] = []
    changes_path = False
    # A stack, not recursion: a sum of a thousand texts is a tree of that depth.
    waiting: list[tuple[ast.AST, _Place]] = [(sourcecode.parse(path), _Place())]
    while waiting:
        node, place = waiting.pop()
        found += _statements(node, place)
        changes_path |= isinstance(node, ast.Attribute) and _name(node) == "sys.path"
        waiting += _children(node, place)
    return Source(tuple(sorted(found)), changes_path)


def _statements(node: ast.AST, place: _Place) -> Iterator[Statement]:
    flags = (place.optional, place.late)
    match node:
        case ast.Import(names=aliases):
            for alias in aliases:
                yield Statement(node.lineno, alias.name, (), *flags)
        case ast.ImportFrom(names=aliases):
            module = "." * node.level + (node.module or "")
            names = tuple(alias.name for alias in aliases if alias.name != "*")
            yield Statement(node.lineno, module, names, *flags)
        case ast.Call():
            module = _called_for(node)
            if module:
                yield Statement(node.lineno, module, (), *flags)
        case _:
            pass


def _called_for(call: ast.Call) -> str:
    """Return the module that `import_module` or `__import__` is told, "" for none."""
    if _name(call.func).rpartition(".")[2] not in {"import_module", "__import__"}:
        return ""
    texts = [_text(argument) for argument in call.args[:2]]
    texts += [_text(keyword.value) for keyword in call.keywords]
    module = texts[0] if texts else ""
    if module.startswith(".") and len(texts) > 1 and texts[1]:
        return texts[1] + "." + module.lstrip(".") if module[1:2] != "." else ""
    return module


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""


def _children(node: ast.AST, place: _Place) -> Iterable[tuple[ast.AST, _Place]]:
    match node:
        case ast.If():
            return _branches(node, place)
        case ast.Try() | ast.TryStar():
            return _attempts(node, place)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            if any(_suppresses(one.context_expr) for one in items):
                place = dataclasses.replace(place, optional=True)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            late = place.late or name not in _CALLED
            place = dataclasses.replace(place, in_function=True, late=late)
        case ast.Lambda():
            place = dataclasses.replace(place, in_function=True, late=True)
        case ast.match_case() | ast.IfExp():
            place = _in_branch(place)
        case _:
            pass
    return [(child, place) for child in ast.iter_child_nodes(node)]


def _in_branch(place: _Place) -> _Place:
    """Return where a branch stands: one of a module's own is taken as it is there."""
    return dataclasses.replace(place, late=place.late or place.in_function)


def _branches(node: ast.If, place: _Place) -> list[tuple[ast.AST, _Place]]:
    body, orelse = node.body, node.orelse
    place = _in_branch(place)
    match node.test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            body = []
        case ast.UnaryOp(
            op=ast.Not(),
            operand=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"),
        ):
            orelse = []
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]):
            body = []
        case _:
            optional = place.optional or _is_about_host(node.test)
            place = dataclasses.replace(place, optional=optional)
    return [(child, place) for child in (node.test, *body, *orelse)]


def _attempts(
    node: ast.Try | ast.TryStar, place: _Place
) -> list[tuple[ast.AST, _Place]]:
    guarded = place.optional or any(
        _catches(handler.type) and not _raises(handler) for handler in node.handlers
    )
    attempt = dataclasses.replace(place, optional=guarded)
    found: list[tuple[ast.AST, _Place]] = [
        (child, attempt) for child in (*node.body, *node.orelse)
    ]
    for handler in node.handlers:
        # What is imported instead is needed only where the first is not there.
        instead = guarded and _catches(handler.type)
        behind = dataclasses.replace(
            _in_branch(place), optional=place.optional or instead
        )
        found += [(child, behind) for child in handler.body]
    return found + [(child, place) for child in node.finalbody]


def _catches(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(map(_catches, caught.elts))
    return _name(caught).rpartition(".")[2] in _CAUGHT


def _raises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise)


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and _name(context.func).rpartition(".")[2] == "suppress"
        and any(map(_catches, context.args))
    )


def _is_about_host(test: ast.expr) -> bool:
    names = {
        _name(node)
        for node in ast.walk(test)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    parts = {part for name in names for part in name.split(".")}
    return bool(names & _HOST_NAMES or parts & _HOST_FACTS)


def _name(node: ast.expr) -> str:
    """Return a dotted name as it is written, "" for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(reversed(parts))
    return ".".join((node.id, *reversed(parts)))
