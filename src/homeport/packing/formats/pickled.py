"""What a pickle would import and make, read from its opcodes: nothing is unpickled."""

import dataclasses
import io
import pickletools
from typing import Final

MAX_BYTES: Final = 16 << 20
_STRINGS: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "UNICODE"})
_REMEMBER: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_RECALL: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_DICTIONARIES: Final = frozenset({"EMPTY_DICT", "DICT"})
_SILENT: Final = frozenset({"PROTO", "FRAME", "MARK"})
# What torch.load makes with weights_only (torch._weights_only_unpickler), by module:
# tensors and plain containers. More is let through than torch does; the worker has the
# last word.
_PLAIN_MODULES: Final = frozenset(
    {"__builtin__", "_codecs", "builtins", "collections", "numpy", "torch"}
)
_JOBLIB_ARRAY: Final = "joblib.numpy_pickle.NumpyArrayWrapper"
_PLAIN_DICTIONARIES: Final = frozenset(
    {"collections.OrderedDict", "collections.defaultdict"}
)


@dataclasses.dataclass(frozen=True, slots=True)
class Pickled:
    """What the opcodes of one pickle tell.

    Attributes:
        root: The outermost object: a class or function by its full name, "dict", or ""
            for another plain value.
        imports: Every class and function it names, sorted.
        modules: Where those are from, sorted.
        strings: Every text in it.
    """

    root: str
    imports: tuple[str, ...]
    modules: tuple[str, ...]
    strings: frozenset[str]

    @property
    def foreign(self) -> tuple[str, ...]:
        """The imports that are neither tensors nor plain containers."""
        return tuple(name for name in self.imports if not _is_plain(name))

    @property
    def is_dictionary(self) -> bool:
        """Whether the outermost object is a dictionary, ordered or not."""
        return self.root == "dict" or self.root in _PLAIN_DICTIONARIES

    @property
    def is_foreign_object(self) -> bool:
        """Whether the outermost object is of somebody's own class, or a module."""
        return bool(self.root) and self.root in self.foreign


def scan(text: bytes, skip: int = 0) -> Pickled | None:
    """Return what the pickle in `text` is, None if it is none.

    Of one that joblib wrote, what comes before its first array.

    Args:
        text: At most `MAX_BYTES` are looked at.
        skip: Pickles that come before it.
    """
    stream = io.BytesIO(text[:MAX_BYTES])
    try:
        for _ in range(skip):
            for _ in pickletools.genops(stream):
                pass
        return _read(stream)
    # pickletools raises whatever the bytes lead it to.
    except (ValueError, IndexError, OverflowError, UnicodeError, MemoryError):
        return None


def _read(stream: io.BytesIO) -> Pickled:
    reader = _Reader()
    for opcode, argument, _ in pickletools.genops(stream):
        # joblib writes each array's bytes between opcodes: the first ends what is read.
        if opcode.name == "BUILD" and _JOBLIB_ARRAY in reader.imports:
            break
        reader.step(opcode.name, argument)
    return Pickled(
        root=reader.root or "",
        imports=tuple(sorted(reader.imports)),
        modules=tuple(sorted(reader.modules)),
        strings=frozenset(reader.strings),
    )


class _Reader:
    """Follows the texts of a pickle as far as they name what it imports."""

    def __init__(self) -> None:
        self.root: str | None = None
        self.imports: set[str] = set()
        self.modules: set[str] = set()
        self.strings: set[str] = set()
        self._texts: list[str] = ["", ""]
        self._memo: dict[int, str] = {}
        self._memo_size = 0

    def step(self, name: str, argument: object) -> None:
        if name in _STRINGS:
            self.strings.add(str(argument))
            self._texts = [self._texts[-1], str(argument)]
        elif name in _RECALL and argument in self._memo:
            self._texts = [self._texts[-1], self._memo[int(str(argument))]]
        elif name == "MEMOIZE":
            self._memo[self._memo_size] = self._texts[-1]
            self._memo_size += 1
        elif name in _REMEMBER:
            self._memo[int(str(argument))] = self._texts[-1]
        else:
            self._make(name, argument)

    def _make(self, name: str, argument: object) -> None:
        made = ""
        if name in {"GLOBAL", "INST"}:
            made = self._import(*str(argument).split(" ", 1))
        elif name == "STACK_GLOBAL":
            made = self._import(*self._texts)
        if self.root is None and name not in _SILENT:
            self.root = "dict" if name in _DICTIONARIES else made

    def _import(self, module: str, name: str = "") -> str:
        made = f"{module}.{name}"
        self.modules.add(module)
        self.imports.add(made)
        return made


def _is_plain(name: str) -> bool:
    top = name.partition(".")[0]
    # Modules and compiled graphs are code: `torch.nn.modules.linear.Linear`.
    is_code = name.startswith(("torch.nn.modules.", "torch.fx.", "torch.jit."))
    return top in _PLAIN_MODULES and not is_code
