"""What lies in an archive, or beside it, to tell people what it is."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from homeport.archive import lineage
from homeport.errors import InvalidArgumentError
from homeport.registry.artifacts import Artifacts
from homeport.resources.model import Artifact

README: Final = "README.md"
MAX_README_BYTES: Final = 64 << 10


@dataclasses.dataclass(frozen=True, slots=True)
class Papers:
    """What goes with an artifact.

    Attributes:
        lineage: Where it comes from, as who packed it says.
        readme: Markdown, "" for none.
        notes: Sentences about what was left out.
    """

    lineage: Mapping[str, str] = dataclasses.field(default_factory=dict)
    readme: str = ""
    notes: tuple[str, ...] = ()


def of_archive(artifacts: Artifacts, artifact: Artifact) -> Papers:
    """Return the papers of the one archive in an artifact.

    Raises:
        FailedPreconditionError: No archive, or more than one.
        InvalidArgumentError: The archive is broken or hostile, or its lineage is.
    """
    archive = artifacts.archive_of(artifact)
    sizes = {one.path: one.size_bytes for one in artifacts.inventory(archive).members}
    said = artifacts.read(archive, [lineage.PATH]).get(lineage.PATH)
    told = {} if said is None else lineage.parse(said)
    if README not in sizes:
        return dataclasses.replace(beside(artifacts, artifact), lineage=told)
    if sizes[README] > MAX_README_BYTES:
        return Papers(told, notes=(_too_long(sizes[README]),))
    return _decoded(artifacts.read(archive, [README])[README], told)


def beside(artifacts: Artifacts, artifact: Artifact) -> Papers:
    """Return the papers that lie in the artifact's own folder."""
    for file in artifact.files:
        if file.path == README and file.size_bytes > MAX_README_BYTES:
            return Papers(notes=(_too_long(file.size_bytes),))
        if file.path == README:
            return _decoded(artifacts.read_file(file))
    return Papers()


def check_readme(text: str) -> None:
    """Refuse a README that cannot be kept.

    Raises:
        InvalidArgumentError: Over 64 KiB, or with NUL or half a character.
    """
    problem = _problem(text)
    if problem:
        raise InvalidArgumentError(f"{problem}: make it shorter, or plain UTF-8 text")


def _decoded(content: bytes, said: Mapping[str, str] | None = None) -> Papers:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Papers(said or {}, notes=(f"{README} is no UTF-8: it was not kept",))
    problem = _problem(text)
    if problem:
        return Papers(said or {}, notes=(f"{problem}: it was not kept",))
    return Papers(said or {}, text)


def _problem(text: str) -> str:
    """Return what is wrong with a README, "" for nothing."""
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        return f"{README} has half a character"
    if size_bytes > MAX_README_BYTES:
        return f"{README} has {size_bytes} bytes, at most {MAX_README_BYTES} are kept"
    return f"{README} has a NUL" if "\0" in text else ""


def _too_long(size_bytes: int) -> str:
    return (
        f"{README} has {size_bytes} bytes, at most {MAX_README_BYTES} are kept: it was "
        "left out"
    )
