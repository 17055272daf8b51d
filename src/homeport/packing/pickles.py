"""What loading pickles would import and call, read from their opcodes alone.

Every opcode's effect on the stack is followed as far as texts go, so that a name
cannot be hidden by moving it around. Nothing is unpickled.
"""

import dataclasses
import io
import pickletools
import re
from typing import Final

MAX_BYTES: Final = 16 << 20
MAX_OPCODES: Final = 1_000_000  # about two seconds
_MAX_PICKLES: Final = 8  # one behind the other: torch.save without a zip writes five
_MAX_NAMES: Final = 1000
_MAX_NAME_LENGTH: Final = 200
_UNKNOWN: Final = "?"  # a name that the pickle computes

_TEXTS: Final = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING"}
    | {"SHORT_BINSTRING"}
)
_REMEMBER: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_RECALL: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_EXTENSIONS: Final = frozenset({"EXT1", "EXT2", "EXT4"})

# What torch.load with weights_only carries out (torch._weights_only_unpickler) ...
_PLAIN_OPCODES: Final = frozenset(
    {"GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM"}
    | {"SETITEMS", "MARK", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE"}
    | {"NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "BININT"}
    | {"BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "BINPERSID"}
    | {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "LONG1", "PROTO", "STOP"}
)
# ... and names; a test compares them with the installed torch's own list.
_PLAIN_NAMES: Final = frozenset(
    {"_codecs.encode", "builtins.bytearray", "builtins.complex", "builtins.set"}
    | {"__builtin__.bytearray", "__builtin__.complex", "__builtin__.set"}
    | {"collections.Counter", "collections.OrderedDict", "torch.Size", "torch.device"}
    | {"torch.nn.parameter.Parameter", "torch.serialization._get_layout"}
    | {"torch._tensor._rebuild_from_type_v2"}
)
_PLAIN_RE: Final = re.compile(
    r"torch\.((cuda\.)?(sparse\.)?[A-Z]\w*Tensor|Tensor|(cuda\.)?[A-Z]\w*Storage"
    r"|storage\.(Typed|Untyped)Storage|u?int\d+|b?float\d\w*|complex\d+|bits\d\w*|bool"
    r"|qu?int\w+|per_(tensor|channel)_\w+"
    r"|_utils\._rebuild_(device_tensor_from_(cpu_tensor|numpy)|meta_tensor_no_storage"
    r"|nested_tensor|parameter(_with_state)?|qtensor|sparse_tensor|tensor(_v[23])?"
    r"|wrapper_subclass))"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Imports:
    """What loading would import.

    Attributes:
        names: Classes and functions by their full names, sorted; "?" for a name that
            only running the pickle would tell.
        refused: Those of them that torch's `weights_only` does not load.
        plain: Whether `weights_only` carries out every opcode.
        whole: Whether all of it could be read.
    """

    names: tuple[str, ...]
    refused: tuple[str, ...]
    plain: bool
    whole: bool


def is_pickle(head: bytes) -> bool:
    """Tell by the first bytes whether this is a pickle of protocol 2 or newer."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5  # noqa: PLR2004


def scan(text: bytes) -> Imports:
    """Return what loading `text` would import, a pickle or some behind each other.

    Args:
        text: Of which `MAX_BYTES` are looked at; what follows the last pickle, as
            tensors do, is passed over.
    """
    stream = io.BytesIO(text[:MAX_BYTES])
    reader = _Reader()
    whole = reader.read(stream)
    for _ in range(_MAX_PICKLES - 1):
        if not whole or not reader.read(stream):
            break
    names = tuple(sorted(reader.names))
    refused = tuple(name for name in names if not _is_plain(name))
    return Imports(names, refused, reader.opcodes <= _PLAIN_OPCODES, whole)


def _is_plain(name: str) -> bool:
    return name in _PLAIN_NAMES or _PLAIN_RE.fullmatch(name) is not None


class _Reader:
    """Follows opcodes on a stack of texts; None stands for everything else."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.opcodes: set[str] = set()
        self._left = MAX_OPCODES
        self._stack: list[str | None] = []
        self._marks: list[int] = []
        self._memo: dict[object, str | None] = {}

    def read(self, stream: io.BytesIO) -> bool:
        """Read one pickle; tell whether it was one to its end."""
        self._stack, self._marks, self._memo = [], [], {}
        seen: set[str] = set()
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self._left -= 1
                if self._left < 0:
                    return False
                seen.add(opcode.name)
                self._step(opcode, argument)
        # pickletools raises whatever the bytes lead it to; the stack, IndexError. Of a
        # backslash in what is no text Python warns, which may be told to raise.
        except (
            ValueError,
            IndexError,
            OverflowError,
            UnicodeError,
            MemoryError,
            DeprecationWarning,
        ):
            return False
        self.opcodes |= seen
        return True

    def _step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        name = opcode.name
        if name in _TEXTS:
            self._stack.append(_text(argument))
        elif name in _RECALL:
            self._stack.append(self._memo.get(argument))
        elif name in _REMEMBER:
            self._memo[argument] = self._stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name == "DUP":
            self._stack.append(self._stack[-1])
        elif name == "MARK":
            self._marks.append(len(self._stack))
        else:
            self._import(name, argument)
            self._move(opcode)

    def _import(self, name: str, argument: object) -> None:
        if len(self.names) >= _MAX_NAMES:
            raise ValueError("it names too much")
        if name in {"GLOBAL", "INST"}:
            self._name(".".join(str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            module, attribute = self._stack[-2:]
            known = module is not None and attribute is not None
            self._name(f"{module}.{attribute}" if known else _UNKNOWN)
        elif name in _EXTENSIONS:
            self._name(f"copyreg extension {argument}")

    def _name(self, name: str) -> None:
        self.names.add(name[:_MAX_NAME_LENGTH])

    def _move(self, opcode: pickletools.OpcodeInfo) -> None:
        """Take from the stack and put onto it what the opcode does."""
        before = list(opcode.stack_before)
        if pickletools.markobject in before:
            taken = before.index(pickletools.markobject)
            del self._stack[self._marks.pop() :]
        elif opcode.name == "POP" and self._marks[-1:] == [len(self._stack)]:
            self._marks.pop()
            return
        else:
            taken = len(before)
        if taken > len(self._stack):
            raise ValueError("the stack is empty")
        del self._stack[len(self._stack) - taken :]
        self._stack += [None] * len(opcode.stack_after)


def _text(argument: object) -> str:
    if isinstance(argument, bytes):
        return argument.decode("latin-1")
    return str(argument)
