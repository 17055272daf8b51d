"""`homeport.pack(...)`: an archive from Python, of a model object or a saved model."""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from homeport.archive import manifest
from homeport.archive.golden import Golden
from homeport.errors import InvalidArgumentError
from homeport.packing import pack as packing
from homeport.packing import samples
from homeport.packing.containers import ArchiveFormat
from homeport.packing.pack import Packed, PackSpec

if TYPE_CHECKING:
    from homeport.packing.torchmodels import How

StrPath = str | os.PathLike[str]


class Options(TypedDict, total=False):
    """What `homeport pack` takes besides, under the same names.

    Attributes:
        how: "trace", "script", "export" or "state_dict", for a model object. By
            default it is traced with the sample, and scripted without one.
        model_file: Python source of the model's class, for weights without it.
        version: The model's version, any text.
        extra_files: A path or pattern, or several.
        keep_directories: An extra directory keeps its own name.
        tokenizer: A custom tokenizer's file, or the directory it was saved to.
        tokenizer_name: What it is called in the archive; its own name by default.
        requirements_file: Names and versions.
        lock: Whether the requirements are completed and resolved to a lock; by default
            if there is a requirements file.
        allow_build: Packages without a wheel may be built for that.
        config_file: The model's configuration, YAML.
        archive_format: "default", "tgz", "no-archive" or "zip-store".
        sample_file: A request that is predicted when the archive is checked; for
            base_handler the `sample` is one by itself.
        expected_file: What that request should be answered with.
        runtime: "python" or "python3".
        description: For people.
        lineage: Where the model comes from: run, dataset, code ...
        trust_pickle: A whole pickled module may be packed.
        force: Replace an archive that is there.
    """

    how: "How | None"
    model_file: StrPath | None
    version: str
    extra_files: StrPath | Iterable[StrPath]
    keep_directories: bool
    tokenizer: StrPath | None
    tokenizer_name: str
    requirements_file: StrPath | None
    lock: bool | None
    allow_build: bool
    config_file: StrPath | None
    archive_format: str
    sample_file: StrPath | None
    expected_file: StrPath | None
    runtime: str
    description: str
    lineage: Mapping[str, str]
    trust_pickle: bool
    force: bool


def pack(
    model: object,
    *,
    name: str | None = None,
    handler: StrPath = "base_handler",
    sample: object = None,
    output: StrPath = ".",
    **options: Unpack[Options],
) -> Packed:
    """Write a model archive and return where it is.

    Args:
        model: A torch.nn.Module, TorchScript or an exported program; or the path of a
            saved model, which is packed as the command line does.
        name: The model's; by default that of the saved file, or of the model's class.
        handler: A path to a .py file, `path.py:function`, or base_handler.
        sample: One batch that the model takes: a tensor, or a tuple of one for each
            argument. It is needed to trace or export. For base_handler its first two
            rows and the model's output travel in the archive, for `homeport check`.
        output: The folder for the archive, made if missing.
        **options: See `Options`.

    Raises:
        InvalidArgumentError: The model or an option cannot be packed.
        NotFoundError: A file does not exist.
        AlreadyExistsError: The archive is there and `force` is not given.
        PermissionDeniedError: The folder cannot be written to.
        FailedPreconditionError: The disk is full.
        TypeError: There is no such option.
    """
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(f"homeport.pack() has no option {min(unknown)!r}")
    how = options.pop("how", None)
    if isinstance(model, str | os.PathLike):
        if sample is not None or how is not None:
            raise InvalidArgumentError(
                f"{os.fspath(model)!r} is saved already: leave out sample and how, or "
                "give the model itself"
            )
        path, golden = Path(model), _golden_of_files(options)
        named = name or path.stem
        return _pack(path, named, str(handler), Path(output), (options, golden))
    _check_how(how)
    with tempfile.TemporaryDirectory(prefix="homeport-pack-") as directory:
        saved, model_file = _save(model, how, sample, Path(directory), options)
        if model_file is not None:
            options.setdefault("model_file", model_file)
        golden = _golden_of_files(options)
        if golden is None and str(handler) == "base_handler":
            golden = _answer(model, sample)
        named = name or type(model).__name__
        return _pack(saved, named, str(handler), Path(output), (options, golden))


def _save(
    model: object,
    how: "How | None",
    sample: object,
    directory: Path,
    options: Options,
) -> tuple[Path, Path | None]:
    if "torch" not in sys.modules:
        raise InvalidArgumentError(
            f"{type(model).__name__} is no model that can be packed: give a "
            "torch.nn.Module or the path of a saved model"
        )
    # Deferred: whoever packs files needs no torch, whoever has a module imported it.
    from homeport.packing import torchmodels  # noqa: PLC0415

    has_source = options.get("model_file") is not None
    return torchmodels.save(model, how, sample, directory, find_source=not has_source)


def _golden_of_files(options: Options) -> Golden | None:
    sample = _path(options.get("sample_file"))
    expected = _path(options.get("expected_file"))
    if sample is not None:
        return samples.read(sample, expected)
    if expected is not None:
        raise InvalidArgumentError(
            "expected_file is what a sample is answered with: give sample_file too"
        )
    return None


def _answer(model: object, sample: object) -> Golden | None:
    from homeport.packing import torchmodels  # noqa: PLC0415  # as in `_save`

    return None if sample is None else torchmodels.answer(model, sample)


def _check_how(how: object) -> None:
    known = (None, "trace", "script", "export", "state_dict")
    if how not in known:
        raise InvalidArgumentError(
            f"how is {how!r:.40}: give 'trace', 'script', 'export' or 'state_dict'"
        )


def _pack(
    saved: Path,
    name: str,
    handler: str,
    output: Path,
    given: tuple[Options, Golden | None],
) -> Packed:
    options, golden = given
    spec = PackSpec(
        model_name=name,
        handler=handler,
        serialized_file=saved,
        version=options.get("version", manifest.DEFAULT_VERSION),
        model_file=_path(options.get("model_file")),
        extra_files=_paths(options.get("extra_files", ())),
        keep_directories=options.get("keep_directories", False),
        tokenizer=_path(options.get("tokenizer")),
        tokenizer_name=options.get("tokenizer_name", ""),
        requirements_file=_path(options.get("requirements_file")),
        lock=options.get("lock"),
        allow_build=options.get("allow_build", False),
        config_file=_path(options.get("config_file")),
        runtime=options.get("runtime", "python"),
        description=options.get("description", ""),
        golden=golden,
        lineage=options.get("lineage", {}),
        trust_pickle=options.get("trust_pickle", False),
        created_on=packing.source_date(os.environ),
    )
    return packing.pack(
        spec,
        output,
        archive_format=_format(options.get("archive_format", "default")),
        force=options.get("force", False),
    )


def _path(given: StrPath | None) -> Path | None:
    return None if given is None else Path(given)


def _paths(given: StrPath | Iterable[StrPath]) -> tuple[str, ...]:
    if isinstance(given, str | os.PathLike):
        given = (given,)
    return tuple(os.fspath(path) for path in given)


def _format(name: str) -> ArchiveFormat:
    try:
        return ArchiveFormat(name)
    except ValueError as error:
        known = ", ".join(one.value for one in ArchiveFormat)
        raise InvalidArgumentError(
            f"archive_format is {name!r:.40}: give one of {known}"
        ) from error
