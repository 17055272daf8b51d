"""The archive's handler, found and initialised as TorchServe finds it.

An ImportError inside the author's file stays what it is: it is never taken for a
handler that does not exist.
"""

import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Final

from homeport.archive import manifest as archive_manifest
from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError
from homeport.worker import config, handlers, loading, torchserve
from homeport.worker.config import ModelConfig
from homeport.worker.context import Context

BASE_HANDLER: Final = "base_handler"
_NO_VARIABLES: Final[Mapping[str, str]] = types.MappingProxyType({})
IMAGE_CLASSIFIER: Final = "image_classifier"
EntryPoint = Callable[[Any, Context], Any]
Initialise = Callable[[Context], EntryPoint]


@dataclasses.dataclass(frozen=True, slots=True)
class Archive:
    """An extracted archive, its manifest and its config file read.

    Attributes:
        model_dir: The directory, which nothing is written into.
        manifest: What the archive says about itself.
        config: What its config file says.
    """

    model_dir: pathlib.Path
    manifest: Manifest
    config: ModelConfig


def open_archive(
    model_dir: pathlib.Path,
    environment: Mapping[str, str] = _NO_VARIABLES,
    beside: str = "",
) -> Archive:
    """Return the archive extracted at `model_dir`.

    Args:
        model_dir: The directory.
        environment: The deployment's variables, which may configure it.
        beside: The text of the config.properties beside the archive, "" for none.

    Raises:
        InvalidArgumentError: No manifest, or a manifest or config file that is wrong.
        FailedPreconditionError: There is a config file and no PyYAML.
    """
    try:
        text = (model_dir / archive_manifest.PATH).read_bytes()
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"the archive has no {archive_manifest.PATH}: "
            "pack it with homeport pack or torch-model-archiver"
        ) from error
    manifest = archive_manifest.parse(text)
    settings = config.load(model_dir, manifest, environment, beside)
    return Archive(model_dir, manifest, settings)


def make_context(archive: Archive, gpu_id: int | None) -> Context:
    """Return the context that the archive's handler is given."""
    return Context(
        model_name=archive.manifest.model_name,
        model_dir=str(archive.model_dir),
        manifest=json.loads(archive_manifest.serialize(archive.manifest)),
        batch_size=archive.config.policy.max_size,
        gpu=gpu_id,
        mms_version=torchserve.VERSION,
        model_yaml_config=dict(archive.config.values),
    )


def enter(model_dir: pathlib.Path) -> None:
    """Make this process the archive's: its directory is current and imported first."""
    os.chdir(model_dir)
    sys.path.insert(0, str(model_dir))
    torchserve.install()


def names_default(archive: Archive, name: str) -> bool:
    """Say if the manifest means TorchServe's handler `name`, not a file of the archive.

    As in TorchServe, a file of that name in the archive goes first.
    """
    return (
        archive.manifest.handler_module == name
        and not (archive.model_dir / f"{name}.py").is_file()
    )


def find(archive: Archive) -> Initialise:
    """Import the author's handler, and return what initialises it: its entry point.

    Raises:
        LoadRefusedError: There is no such file, or no entry point in it.
        Exception: Whatever the author's code raises.
    """
    if names_default(archive, IMAGE_CLASSIFIER):
        # Deferred: it imports torch and Pillow, which other handlers may not need.
        from homeport.worker import visionhandler  # noqa: PLC0415

        return functools.partial(_initialise_class, visionhandler.ImageClassifier)
    module = _import(archive)
    found = _entry(module, archive.manifest)
    if found is not None and not isinstance(found, type):
        return functools.partial(_initialise_function, found)
    found = found or _handler_class(module, archive.manifest.handler)
    return functools.partial(_initialise_class, found)


def _initialise_function(entry_point: EntryPoint, context: Context) -> EntryPoint:
    # TorchServe initialises a module-level handler by calling it without data.
    entry_point(None, context)
    return entry_point


def _initialise_class(handler_class: Any, context: Context) -> EntryPoint:  # noqa: ANN401
    handler = handler_class()
    handler.initialize(context)
    return handler.handle  # type: ignore[no-any-return]  # the author's own


def _entry(module: types.ModuleType, manifest: Manifest) -> Any:  # noqa: ANN401
    """Return the callable or handler class to serve, None to look for a class.

    Raises:
        LoadRefusedError: The manifest names one, and it is neither.
    """
    named = manifest.handler_function
    found = getattr(module, named or "handle", None)
    if isinstance(found, type):
        usable = bool(named) and _is_handler_class(found)
    else:
        usable = callable(found)
    if usable:
        return found
    if not named or named == "handle":
        return None
    raise loading.LoadRefusedError(
        f"the manifest names the handler {manifest.handler} and "
        f"{manifest.handler_module}.py has no function {named}",
        f"Add the function {named}(data, context), or pack the archive again with the "
        "name of the one it has.",
    )


def _is_handler_class(cls: type) -> bool:
    return hasattr(cls, "initialize") and hasattr(cls, "handle")


def _import(archive: Archive) -> types.ModuleType:
    name = archive.manifest.handler_module
    path = archive.model_dir / f"{name}.py"
    if not path.is_file():
        if name in torchserve.REFUSED_HANDLERS:
            raise torchserve.refuse_handler(name)
        raise loading.LoadRefusedError(
            f"the manifest names the handler {archive.manifest.handler} and "
            f"{path.name} is not in the archive",
            "Pack the archive again with --handler and the path of that file.",
        )
    # Loaded by its path: its name may hide a module that is already imported.
    name = f"handler_{name}" if name in sys.modules else name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"no loader for {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _handler_class(module: types.ModuleType, handler: str) -> Any:  # noqa: ANN401
    classes = [
        cls
        for cls in handlers.list_classes_from_module(module)
        if _is_handler_class(cls)
    ]
    if len(classes) == 1:
        return classes[0]
    if classes:
        names = ", ".join(cls.__name__ for cls in classes)
        raise loading.LoadRefusedError(
            f"the handler {handler} defines {len(classes)} classes with initialize and "
            f"handle ({names}), and exactly one can be served",
            "Keep one in that file and import the others from another.",
        )
    raise loading.LoadRefusedError(
        f"the handler {handler} defines neither a function handle(data, context) nor a "
        "class with initialize and handle",
        "Add one of them, for example a subclass of BaseHandler.",
    )
