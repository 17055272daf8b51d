"""What an archive's checkpoints would import when they are loaded.

They are told by their content, whatever they are called. Stored members are read where
they lie, of torch's zips only the pickle; deflated ones from the front, and no further
than `pickles.MAX_BYTES`. Nothing is unpickled; a zip inside a checkpoint stays shut.
"""

import contextlib
import dataclasses
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from homeport.archive import central, layout, mar
from homeport.archive.inventory import Inventory
from homeport.archive.members import Limits, Member
from homeport.errors import InvalidArgumentError
from homeport.packing import pickles
from homeport.packing.pickles import Imports

_HEAD_BYTES: Final = 64
_NAMED: Final = 10
_MAX_LOOKS: Final = 100
# More tensors than any model has; the directory of so many is read in one piece.
_NESTED: Final = Limits(max_members=100_000)
_MAX_DIRECTORY_BYTES: Final = 16 << 20
_MAX_PICKLES: Final = 16
_LOCAL: Final = struct.Struct("<4s5H3L2H")  # APPNOTE 4.3.7
_LOCAL_RE: Final = re.compile(rb"PK\x03\x04")
_PICKLE_NAMES: Final = (".pkl", ".pickle", ".joblib", ".bin", ".pt", ".pth", ".ckpt")
_UNREAD: Final = Imports((), (), plain=True, whole=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """One member that loading would unpickle.

    Attributes:
        path: In the archive.
        kind: "torch.save", "TorchScript", which imports nothing of Python, or "pickle".
        imports: What it names.
        refused: What of that `weights_only` refuses.
        plain: Whether `weights_only` loads it: nothing is refused, and no opcode is of
            a kind that it does not carry out.
        whole: Whether all of it could be looked at; if not, there may be more.
    """

    path: str
    kind: str
    imports: tuple[str, ...]
    refused: tuple[str, ...]
    plain: bool
    whole: bool

    @property
    def finding(self) -> str:
        """What that means, in one sentence that a terminal only shows."""
        start = f"{self.path} ({self.kind})"
        if self.refused:
            names = ", ".join(map(_printable, self.refused[:_NAMED]))
            more = len(self.refused) - _NAMED
            names += f" and {more} more" if more > 0 else ""
            return (
                f"{start}: loading it whole imports {names} and can run any code; "
                "weights_only refuses it"
            )
        if not self.whole:
            return f"{start}: not all of it could be looked at; it may import more"
        if not self.plain:
            return f"{start}: imports nothing foreign; weights_only does not load it"
        return f"{start}: imports nothing that weights_only refuses"


def report(path: Path, inventory: Inventory) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of an archive that was checked, by path.

    A folder's files are read as a zip's members are. A `.tar.gz` is read once from the
    front, when it is checked, and its checkpoints are not looked into.

    Args:
        path: The archive: a zip, or a folder as archives are laid out.
        inventory: What lies in it.

    Raises:
        InvalidArgumentError: A deflated member is damaged.
    """
    if path.is_dir():
        return look_at(inventory, lambda member, _: (path / member.path).open("rb"))
    if not inventory.members or not _is_zip(path):
        return ()
    with mar.looking_into(path) as open_member:
        return look_at(inventory, open_member)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return mar.looks_like_archive(file.read(4))


def look_at(
    inventory: Inventory, open_member: Callable[[Member, int], BinaryIO]
) -> tuple[Checkpoint, ...]:
    """Return the checkpoints among the members that `open_member` opens.

    Args:
        inventory: The members.
        open_member: Opens one, of which as many bytes matter.
    """
    found: list[Checkpoint] = []
    for member in inventory.members:
        with open_member(member, _HEAD_BYTES) as file:
            kind = _kind(member.path, file.read(_HEAD_BYTES))
        if not kind:
            continue
        if len(found) >= _MAX_LOOKS:
            found.append(_checkpoint(member.path, kind, _UNREAD))
            continue
        with open_member(member, pickles.MAX_BYTES) as file:
            checkpoint = _look(member, kind, file)
        if checkpoint is not None:
            found.append(checkpoint)
    return tuple(found)


def _kind(path: str, head: bytes) -> str:
    if head.startswith(layout.LOCAL_SIGNATURE):
        return "torch.save"
    old_pickle = path.lower().endswith(_PICKLE_NAMES) and head[:1] in b"(]}cl"
    return "pickle" if pickles.is_pickle(head) or (head and old_pickle) else ""


def _look(member: Member, kind: str, file: BinaryIO) -> Checkpoint | None:
    if kind == "pickle":
        imports = pickles.scan(file.read(pickles.MAX_BYTES))
        # Without a name to import, what is cut is no pickle at all.
        is_one = imports.whole or imports.names
        return _checkpoint(member.path, kind, imports) if is_one else None
    in_reach = member.stored or member.size_bytes <= pickles.MAX_BYTES
    try:
        is_script, texts = _torch_pickles(file) if in_reach else _leading_pickles(file)
    except InvalidArgumentError:
        return _checkpoint(member.path, kind, _UNREAD)
    if is_script:
        nothing = dataclasses.replace(_UNREAD, whole=in_reach)
        return _checkpoint(member.path, "TorchScript", nothing)
    if not texts and in_reach:
        return None  # a zip of another kind
    return _checkpoint(member.path, kind, _together(texts, whole=in_reach))


def _torch_pickles(file: BinaryIO) -> tuple[bool, list[bytes]]:
    """Return whether a zip is TorchScript, and the pickles that torch.load reads."""
    end = layout.read_end(file, _NESTED)
    if end.directory_bytes > _MAX_DIRECTORY_BYTES:
        raise InvalidArgumentError("the checkpoint's directory is too long to look at")
    file.seek(end.directory_offset)
    offsets: list[int] = []
    for entry in central.walk(file.read(end.directory_bytes)):
        below = entry.name.partition(b"/")[2] or entry.name
        if below == b"constants.pkl":
            return True, []
        if below.endswith(b"data.pkl") and len(offsets) < _MAX_PICKLES:
            offsets.append(entry.header_offset)
    return False, [_pickle_at(file, offset) for offset in offsets]


def _pickle_at(file: BinaryIO, offset: int) -> bytes:
    with contextlib.suppress(OverflowError):
        file.seek(offset)
        header = file.read(_LOCAL.size)
        if len(header) == _LOCAL.size:
            method, name_bytes, extra_bytes = _sizes(header)
            file.seek(offset + _LOCAL.size + name_bytes + extra_bytes)
            if method == 0:  # torch stores, and a reader of its zips expects that
                return file.read(pickles.MAX_BYTES)
    raise InvalidArgumentError(
        "the checkpoint's pickle is not where its directory says"
    )


def _leading_pickles(file: BinaryIO) -> tuple[bool, list[bytes]]:
    """Return what `_torch_pickles` does, from the front of a zip alone."""
    text = file.read(pickles.MAX_BYTES)
    if b"/constants.pkl" in text:
        return True, []
    texts: list[bytes] = []
    for found in _LOCAL_RE.finditer(text):
        header = text[found.start() : found.start() + _LOCAL.size]
        if len(header) == _LOCAL.size:
            _, name_bytes, extra_bytes = _sizes(header)
            begin = found.start() + _LOCAL.size
            if text[begin : begin + name_bytes].endswith(b"data.pkl"):
                texts.append(text[begin + name_bytes + extra_bytes :])
        if len(texts) >= _MAX_PICKLES:
            break
    return False, texts


def _sizes(header: bytes) -> tuple[int, int, int]:
    fields = _LOCAL.unpack(header)
    return fields[3], fields[9], fields[10]


def _together(texts: list[bytes], *, whole: bool) -> Imports:
    parts = [pickles.scan(text) for text in texts]
    return Imports(
        tuple(sorted({name for part in parts for name in part.names})),
        tuple(sorted({name for part in parts for name in part.refused})),
        plain=all(part.plain for part in parts),
        whole=whole and all(part.whole for part in parts),
    )


def _printable(name: str) -> str:
    return name if name.isprintable() else json.dumps(name)


def _checkpoint(path: str, kind: str, imports: Imports) -> Checkpoint:
    plain = imports.plain and not imports.refused
    return Checkpoint(path, kind, imports.names, imports.refused, plain, imports.whole)
