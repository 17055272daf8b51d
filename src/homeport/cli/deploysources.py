"""What `homeport deploy` is given, made an archive: a .mar, a model file, a folder."""

import contextlib
import dataclasses
import difflib
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from homeport.cli import signals
from homeport.cli.texts import printable
from homeport.errors import InvalidArgumentError
from homeport.packing import pack as packing
from homeport.packing import samples
from homeport.packing.pack import PackSpec

_WEIGHTS: Final = frozenset({".pt", ".pth", ".pt2", ".ckpt", ".bin", ".safetensors"})
_DEPLOYED: Final = _WEIGHTS | {".mar"}
_ROOT_ONLY: Final = "MAR-INF"
# One letter of four that is wrong is alike enough, two are not.
_ALIKE: Final = 0.75


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What an archive is to be made of, as far as it is said.

    Attributes:
        path: An archive, a model file or a folder.
        name: Of the model; None for that of the archive, file or folder.
        handler: As `homeport pack` takes it.
        model_file: Python source of the model's class.
        extra_files: Paths and patterns.
        requirements_file: pip requirements.
        sample: A request that the check and the deployment predict.
    """

    path: Path
    name: str | None
    handler: str | None
    model_file: Path | None
    extra_files: tuple[str, ...]
    requirements_file: Path | None
    sample: Path | None

    @property
    def says_how_to_pack(self) -> bool:
        """Whether anything but the path is said."""
        said = (self.handler, self.model_file, self.requirements_file, self.sample)
        return any(one is not None for one in said) or bool(self.extra_files)


@contextlib.contextmanager
def archive(source: Source) -> Iterator[Path]:
    """Yield the archive, which is removed afterwards if it was made here.

    Raises:
        InvalidArgumentError: It cannot be told what belongs into it.
    """
    path = source.path
    if path.is_dir():
        archives = sorted(path.glob("*.mar"))
        if archives and not source.says_how_to_pack:
            yield _only(path, archives)
            return
        with _packed(_of_folder(source)) as made:
            yield made
    elif path.suffix in _WEIGHTS:
        with _packed(_of_file(source)) as made:
            yield made
    elif path.suffix == ".py":
        quoted = printable(shlex.quote(str(path)))
        raise InvalidArgumentError(
            f"{path.name} is Python source and no model: give the model file, with "
            f"`--handler {quoted}` if that is its handler, or `--model-file {quoted}` "
            "if that is its class; a handler that needs no model file becomes an "
            f"archive with `homeport pack --model-name NAME --handler {quoted}`"
        )
    elif source.says_how_to_pack:
        raise InvalidArgumentError(
            f"{path.name} is an archive, and what belongs into it was said when it was "
            "packed: --handler, --model-file, --extra-files, --requirements-file and "
            "--sample go with a model file or a folder"
        )
    else:
        yield path


def nearest(path: Path) -> str:
    """Return a question after what a mistyped path may mean, "" for nothing."""
    try:
        names = [one.name for one in path.parent.iterdir()]
        alike = difflib.get_close_matches(path.name, names, cutoff=_ALIKE)
        meant = [one for one in map(path.with_name, alike) if _may_be_meant(one)]
    except (OSError, ValueError):
        return ""
    return "".join(f": did you mean {printable(str(one))}?" for one in meant[:1])


def _may_be_meant(path: Path) -> bool:
    """Tell whether there is what can be deployed: of folders, where one works."""
    if not path.is_dir():
        return path.suffix in _DEPLOYED
    if ".." in path.parts:
        return False
    return any(one.suffix in _DEPLOYED for one in path.iterdir())


def _only(folder: Path, archives: list[Path]) -> Path:
    """Return the archive of a folder, which is told.

    Raises:
        InvalidArgumentError: There are several, or a model that it may be older than.
    """
    models = _weights(folder)
    if len(archives) > 1 or models:
        names = ", ".join(one.name for one in (*archives, *models))
        raise InvalidArgumentError(
            f"{folder} holds {names}: give the one that is meant"
        )
    click.echo(f"found       {archives[0].name}")
    return archives[0]


@contextlib.contextmanager
def _packed(spec: PackSpec) -> Iterator[Path]:
    with (
        signals.ending_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="homeport-deploy-") as folder,
    ):
        made = packing.pack(
            spec, Path(folder), on_notice=lambda line: click.echo(line, err=True)
        )
        for warning in made.warnings:
            click.echo(f"warning     {warning}", err=True)
        click.echo(f"packed      {made.path.name}, {made.size_bytes:,} bytes")
        yield made.path


def _of_file(source: Source) -> PackSpec:
    golden = None if source.sample is None else samples.read(source.sample, None)
    return PackSpec(
        model_name=source.name or _name_of(source.path.stem),
        handler=source.handler or "base_handler",
        serialized_file=source.path,
        model_file=source.model_file,
        extra_files=source.extra_files,
        requirements_file=source.requirements_file,
        golden=golden,
    )


def _of_folder(source: Source) -> PackSpec:
    """Return what the files of a folder are by their names.

    Raises:
        InvalidArgumentError: There is no model, or there are several.
    """
    folder = source.path
    if (folder / _ROOT_ONLY).is_dir():
        raise InvalidArgumentError(
            f"{folder} is an archive that is unpacked: give the .mar, or pack it again"
        )
    weights = _weights(folder)
    hugging_face = (folder / "config.json").is_file()
    if not hugging_face and len(weights) != 1:
        names = ", ".join(one.name for one in weights) or "none"
        raise InvalidArgumentError(
            f"{folder} should hold one model file ({', '.join(sorted(_WEIGHTS))}) and "
            f"holds {names}: give the file itself"
        )
    handler = folder / "handler.py"
    read = dataclasses.replace(
        source,
        path=folder if hugging_face else weights[0],
        name=source.name or _name_of(folder.resolve().name),
        handler=source.handler or (str(handler) if handler.is_file() else None),
        model_file=source.model_file or _there(folder / "model.py"),
        requirements_file=source.requirements_file
        or _there(folder / "requirements.txt"),
        sample=source.sample or _there(folder / "sample.json"),
    )
    if hugging_face:
        return _of_file(read)
    extra = (*source.extra_files, *_others(folder, read))
    spec = _of_file(dataclasses.replace(read, extra_files=extra))
    return dataclasses.replace(spec, keep_directories=True)


def _weights(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix in _WEIGHTS)


def _others(folder: Path, read: Source) -> list[str]:
    """Return what else lies in a folder, without what is hidden."""
    known = {read.path, read.model_file, read.requirements_file, read.sample}
    if read.handler is not None:
        known.add(Path(read.handler))
    return [
        str(one)
        for one in sorted(folder.iterdir())
        if one not in known
        and one.suffix != ".mar"
        and not one.name.startswith((".", "__"))
    ]


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _name_of(text: str) -> str:
    """Return a model's name that a file's or folder's name becomes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip("_.-") or "model"
