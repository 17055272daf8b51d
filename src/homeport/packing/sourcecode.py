"""Handler and model files as Python source: compiled, never run."""

import ast
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from homeport.archive.manifest import DEFAULT_HANDLERS
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.packing import sources

_BUILT_IN: Final = ("base_handler", "image_classifier")
_BASES: Final = frozenset({"BaseHandler", "VisionHandler", "ImageClassifier"})
# What TorchServe's BaseHandler loads by, and lets a handler replace.
_LOADING: Final = frozenset(
    {"initialize", "_load_pickled_model", "_load_torchscript_model"}
)
_MAX_BYTES: Final = 8 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Handler:
    """A handler as the user named it.

    Attributes:
        name: For the manifest: a file's base name or a default handler, with
            `:function` where one was named.
        path: Its source, None for a default handler.
    """

    name: str
    path: Path | None


def resolve_handler(text: str) -> Handler:
    """Return the handler that `text` names, once its source is known to compile.

    Args:
        text: `path.py`, `path.py:function`, either without `.py`, base_handler or
            image_classifier.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: A syntax error, no entry point in the file, or a default
            handler of TorchServe's that is not built in.
    """
    stem, _, function = text.rpartition(":") if ":" in text else (text, "", "")
    if stem in DEFAULT_HANDLERS:
        return _default_handler(stem, function)
    path = Path(stem)
    if path.suffix != ".py":
        path = path.with_name(path.name + ".py")
    if not path.exists():
        raise NotFoundError(
            f"handler {str(path)!r} does not exist: give a .py file, "
            f"path.py:function, {_BUILT_IN[0]} or {_BUILT_IN[1]}"
        )
    sources.check_file(path, "handler")
    _check_entry_point(path, _top_level_names(parse(path)), function)
    return Handler(f"{path.name}:{function}" if function else path.name, path)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file.

    Raises:
        InvalidArgumentError: It does not compile, and the message names the line; or
            it is larger than 8 MiB.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidArgumentError(
            f"{path.name} has more than {_MAX_BYTES >> 20} MiB of source: keep data in "
            "a file of its own"
        )
    source = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the author's style is not our concern
            compile(source, path.name, "exec", dont_inherit=True)
            return ast.parse(source, path.name)
    except SyntaxError as error:
        where = f" line {error.lineno}" if error.lineno else ""
        raise InvalidArgumentError(
            f"{path.name}{where}: {error.msg}: correct the syntax error and pack again"
        ) from error
    except ValueError as error:
        raise InvalidArgumentError(
            f"{path.name} is no Python source ({error}): give a text file"
        ) from error
    # The two ways in which a tree gets too deep for CPython.
    except (RecursionError, MemoryError) as error:
        raise InvalidArgumentError(
            f"{path.name} nests too deeply to be compiled: divide its expressions"
        ) from error


def check_model_file(path: Path) -> tuple[str, ...]:
    """Return warnings about a model file whose class a loader could not choose.

    Raises:
        InvalidArgumentError: It does not compile or defines no class.
    """
    names = [node.name for node in parse(path).body if isinstance(node, ast.ClassDef)]
    if not names:
        raise InvalidArgumentError(
            f"model file {path.name} defines no class: "
            "put the model's class into it, at the top level"
        )
    if len(names) == 1:
        return ()
    return (
        f"{path.name} defines {len(names)} classes ({', '.join(names)}): a "
        "default handler takes a model file with exactly one, move the others into a "
        "module that it imports",
    )


def base_that_loads(handler: Handler) -> str:
    """Return which base class of TorchServe's loads the model, "" if that is not sure.

    It does where the one class of the file extends it and nothing there has the name
    of a method by which handlers load.
    """
    if handler.path is None or ":" in handler.name:
        return ""
    module = parse(handler.path)
    match [node for node in module.body if isinstance(node, ast.ClassDef)]:
        case [ast.ClassDef(bases=[ast.Name(id=name) | ast.Attribute(attr=name)])]:
            own = any(_LOADING & _bound(node) for node in ast.walk(module))
            return name if name in _BASES and not own else ""
        case _:
            return ""


def _bound(node: ast.AST) -> frozenset[str]:
    """Return the names that a node alone gives to something, also as attributes."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return frozenset({name})
        case ast.alias(name=name, asname=asname):
            return frozenset({asname or name})
        case ast.Name(id=name, ctx=ast.Store()):
            return frozenset({name})
        case ast.Attribute(attr=name, ctx=ast.Store()):
            return frozenset({name})
        case _:
            return frozenset()


def _default_handler(name: str, function: str) -> Handler:
    if name not in _BUILT_IN:
        raise InvalidArgumentError(
            f"TorchServe's default handler {name!r} is not built in: write a "
            "handler.py whose class extends BaseHandler and give its path"
        )
    if function:
        raise InvalidArgumentError(
            f"{name}:{function} names a function of a default handler: "
            f"give {name} alone"
        )
    return Handler(name, None)


def _check_entry_point(path: Path, names: "_TopLevel", function: str) -> None:
    if names.open_ended:
        return
    if function and function not in names.defined:
        raise InvalidArgumentError(
            f"{path.name} has no top-level {function!r}: "
            "correct the name behind the colon"
        )
    if not function and not names.has_class and "handle" not in names.defined:
        raise InvalidArgumentError(
            f"{path.name} has neither a class nor a function 'handle': "
            "define one, or name the entry point as path.py:function"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _TopLevel:
    """Names a module binds, as far as its text tells.

    Attributes:
        defined: The names.
        has_class: Whether one of them is a class defined here.
        open_ended: Whether a star import may bind more.
    """

    defined: frozenset[str]
    has_class: bool
    open_ended: bool


def _top_level_names(module: ast.Module) -> _TopLevel:
    defined: set[str] = set()
    has_class = False
    for node in _statements(module.body):
        match node:
            case ast.ClassDef(name=name):
                defined.add(name)
                has_class = True
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                defined.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                defined.update(alias.asname or alias.name for alias in aliases)
            case ast.Assign() | ast.AnnAssign():
                defined.update(
                    inner.id
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
                )
            case _:
                pass
    return _TopLevel(frozenset(defined), has_class, "*" in defined)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, also those inside `if`, `try` and `with`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, block, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)
