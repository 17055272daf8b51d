"""A model from the files of its archive, by the content of the weights' file.

With a model file (Python source) the weights are a state dict, alone or inside a
checkpoint, or safetensors; without one they are TorchScript, an exported program or an
AOTInductor package. Weights are read with `weights_only`: a pickle that runs code is
refused, unless the archive says that its author trusts it.
"""

import importlib
import itertools
import pathlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from homeport.archive import manifest as archive_manifest
from homeport.worker import handlers, loading, optional

_TORCHSCRIPT_ENDINGS: Final = (".pt", ".pth", ".jit")
_SAFETENSORS_ENDING: Final = ".safetensors"
_PARALLEL: Final = "module."
_NAMED: Final = 5


def check_there(model_dir: pathlib.Path, serialized_file: str) -> None:
    """Check that the weights that a manifest names are in its archive.

    Raises:
        LoadRefusedError: They are not.
    """
    if not (model_dir / serialized_file).is_file():
        raise loading.LoadRefusedError(
            f"the manifest names {serialized_file} as serializedFile and it is not in "
            "the archive",
            "Pack the archive again with --serialized-file.",
        )


def load_whole(
    model_dir: pathlib.Path,
    serialized_file: str,
    device: torch.device,
    load_script: Callable[[str], Any],
) -> Any:  # noqa: ANN401  # a module, or the callable of an exported program
    """Return a model that needs no class, in evaluation mode on `device`.

    Args:
        model_dir: The extracted archive.
        serialized_file: The model, "" for none.
        device: Where it computes.
        load_script: Loads what is neither exported nor compiled, from its path.

    Raises:
        LoadRefusedError: There is none, or it is not what it should be.
    """
    path = model_dir / serialized_file
    if any("/data/aotinductor/" in name for name in _zip_names(path)):
        return load_compiled(path)
    if path.suffix == ".pt2":
        return load_exported(path, device)
    if serialized_file and (
        path.suffix in _TORCHSCRIPT_ENDINGS or _is_trusted_pickle(model_dir, path)
    ):
        return load_script(str(path))
    raise loading.LoadRefusedError(
        f"no model can be loaded: the serializedFile is {serialized_file or 'nothing'}",
        "Pack TorchScript (.pt), an exported program (.pt2), or a state dict together "
        "with --model-file; for anything else write a handler that loads it.",
    )


def load_script(
    model_dir: pathlib.Path, path: pathlib.Path, device: torch.device
) -> torch.nn.Module:
    """Return a TorchScript model, or a pickled one that its author trusts.

    Raises:
        LoadRefusedError: The file is neither.
    """
    if _is_trusted_pickle(model_dir, path):
        return load_pickled(path, device)
    return load_torchscript(path, device)


def load_eager(
    model_dir: pathlib.Path,
    model_file: str,
    path: pathlib.Path | None,
    device: torch.device,
) -> torch.nn.Module:
    """Return the one model class in `model_file`, with the weights if there are any.

    A checkpoint's `model_config` becomes the constructor's keyword arguments.

    Raises:
        LoadRefusedError: No or several classes, or weights of another model.
    """
    model_class = _model_class(model_dir, model_file)
    if path is None:
        return model_class().to(device).eval()
    trusted = _is_trusted(model_dir)
    checkpoint = _read_weights(path, device, weights_only=not trusted)
    if trusted and isinstance(checkpoint, torch.nn.Module):
        return checkpoint.to(device).eval()
    state, arguments = _state_and_arguments(path.name, checkpoint)
    model = model_class(**arguments)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise loading.LoadRefusedError(
            f"the weights in {path.name} do not fit the class "
            f"{model_class.__name__} in {model_file}: {_one_line(error)}",
            _remedy_of_misfit(state),
        ) from error
    return model.to(device).eval()


def load_torchscript(path: pathlib.Path, device: torch.device) -> torch.nn.Module:
    """Return a TorchScript model in evaluation mode.

    Raises:
        LoadRefusedError: The file is no TorchScript.
    """
    if _is_of_torch_save(path):
        raise loading.LoadRefusedError(
            f"{path.name} was written by torch.save and is no TorchScript",
            "Pack it together with --model-file, or save the model with "
            "torch.jit.script or torch.jit.trace.",
        )
    with warnings.catch_warnings():
        # torch 2.13 deprecates TorchScript; archives made with it are what we serve.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model: torch.nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]  # torch's
                str(path), map_location=device
            )
        except RuntimeError as error:
            raise loading.LoadRefusedError(
                f"{path.name} is no TorchScript: {_one_line(error)}",
                "Save the model with torch.jit.script or torch.jit.trace, or pack the "
                "state dict together with --model-file; a whole pickled module loads "
                "only if it was packed with --trust-pickle.",
            ) from error
    return model.eval()


def load_exported(path: pathlib.Path, device: torch.device) -> torch.nn.Module:
    """Return the module of an exported program.

    Raises:
        LoadRefusedError: The file is none, or of another torch.
    """
    try:
        program = torch.export.load(path)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise loading.LoadRefusedError(
            f"{path.name} is no exported program for torch {torch.__version__}: "
            f"{_one_line(error)}",
            "Save it with torch.export.save under this torch version.",
        ) from error
    return program.module().to(device)


def load_compiled(path: pathlib.Path) -> Any:  # noqa: ANN401  # torch's callable
    """Return the callable of an AOTInductor package, for the device it was made for.

    Raises:
        LoadRefusedError: It was compiled for another machine or torch.
    """
    try:
        return torch._inductor.aoti_load_package(str(path))  # noqa: SLF001  # documented
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise loading.LoadRefusedError(
            f"{path.name} is no AOTInductor package for torch {torch.__version__} and "
            f"this machine: {_one_line(error)}",
            "Compile it with torch._inductor.aoti_compile_and_package where the server "
            "runs.",
        ) from error


def load_pickled(path: pathlib.Path, device: torch.device) -> torch.nn.Module:
    """Return the module in a pickle that the archive's author trusts.

    Raises:
        LoadRefusedError: The pickle holds something else.
    """
    model = _read_weights(path, device, weights_only=False)
    if not isinstance(model, torch.nn.Module):
        raise loading.LoadRefusedError(
            f"{path.name} holds a {type(model).__name__} and no module, so the model's "
            "class is missing",
            "Pack it together with --model-file.",
        )
    return model.eval()


def _model_class(model_dir: pathlib.Path, model_file: str) -> type[torch.nn.Module]:
    if not (model_dir / model_file).is_file():
        raise loading.LoadRefusedError(
            f"the manifest names {model_file} as modelFile and it is not in the "
            "archive",
            "Pack the archive again with --model-file.",
        )
    module = importlib.import_module(pathlib.PurePath(model_file).stem)
    classes = handlers.list_classes_from_module(module, torch.nn.Module)
    if len(classes) != 1:
        names = ", ".join(cls.__name__ for cls in classes) or "none"
        raise loading.LoadRefusedError(
            f"{model_file} defines {len(classes)} torch.nn.Module classes ({names}), "
            "and exactly one can be the model",
            "Keep the model's class there and import its parts from another file, "
            "packed with --extra-files.",
        )
    return classes[0]


def _zip_names(path: pathlib.Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _is_trusted_pickle(model_dir: pathlib.Path, path: pathlib.Path) -> bool:
    """Return whether a file is torch.save's, and its archive's author trusts it."""
    if not _is_trusted(model_dir):
        return False
    # TorchScript alone has them.
    inner = {name.partition("/")[2] for name in _zip_names(path)}
    return "constants.pkl" not in inner


def _is_trusted(model_dir: pathlib.Path) -> bool:
    """Return whether the archive's author trusts its pickle."""
    try:
        text = (model_dir / archive_manifest.PATH).read_bytes()
    except FileNotFoundError:
        return False
    return archive_manifest.parse(text).trust_pickle


def _read_weights(
    path: pathlib.Path, device: torch.device, *, weights_only: bool
) -> object:
    if path.suffix == _SAFETENSORS_ENDING:
        return _read_safetensors(path, device)
    try:
        return torch.load(path, map_location=device, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        raise loading.LoadRefusedError(
            f"{path.name} holds Python objects beside the weights ({_one_line(error)})",
            "Save model.state_dict() instead of the whole model: loading whole pickles "
            "can run any code; if you made the file, pack it with --trust-pickle.",
        ) from error
    except (AttributeError, ImportError) as error:
        raise loading.LoadRefusedError(
            f"{path.name} needs a class that is not there: {_one_line(error)}",
            "Add the module it was saved from to the archive with --extra-files, under "
            "the name it had then.",
        ) from error
    except (RuntimeError, EOFError) as error:
        raise loading.LoadRefusedError(
            f"{path.name} cannot be read as weights: {_one_line(error)}",
            "Save it with torch.save(model.state_dict(), ...) and pack it again.",
        ) from error


def _read_safetensors(path: pathlib.Path, device: torch.device) -> object:
    library = optional.module("safetensors")
    if library is None:
        raise loading.LoadRefusedError(
            f"{path.name} is safetensors, and that package is not installed",
            "Please "
            + optional.remedy(
                "safetensors",
                here="install safetensors (the extra homeport[safetensors]) where the "
                "server runs",
            )
            + ".",
        )
    reader = importlib.import_module("safetensors.torch")
    try:
        return reader.load_file(path, device=str(device))
    except library.SafetensorError as error:
        raise loading.LoadRefusedError(
            f"{path.name} cannot be read as safetensors: {_one_line(error)}",
            "Save it with safetensors.torch.save_file and pack it again.",
        ) from error


def _state_and_arguments(
    file_name: str, checkpoint: object
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Split a checkpoint into the state dict and the constructor's arguments."""
    if not isinstance(checkpoint, Mapping):
        raise loading.LoadRefusedError(
            f"{file_name} holds a {type(checkpoint).__name__}, not a state dict",
            "Save model.state_dict() and pack it again.",
        )
    for key in ("model_state_dict", "state_dict"):
        state = checkpoint.get(key)
        if isinstance(state, Mapping):
            arguments = checkpoint.get("model_config")
            return state, arguments if isinstance(arguments, Mapping) else {}
    _refuse_entries(file_name, checkpoint)
    return checkpoint, {}


def _refuse_entries(file_name: str, checkpoint: Mapping[str, Any]) -> None:
    """Refuse what has the weights one level deeper, under a name nobody agreed on."""
    values = checkpoint.values()
    if any(isinstance(value, torch.Tensor) for value in values):
        return
    if any(isinstance(value, Mapping) for value in values):
        names = ", ".join(map(repr, itertools.islice(checkpoint, _NAMED)))
        raise loading.LoadRefusedError(
            f"{file_name} is a checkpoint, and none of its entries ({names}) is called "
            "model_state_dict or state_dict",
            "Save the entry with the weights alone, or under one of these names, and "
            "pack it again.",
        )


def _remedy_of_misfit(state: Mapping[str, Any]) -> str:
    if all(name.startswith(_PARALLEL) for name in state):
        return (
            "They were saved from a DataParallel, which puts 'module.' before every "
            "name: save model.module.state_dict() and pack it again."
        )
    return "Pack the model file that the weights were saved from."


def _is_of_torch_save(path: pathlib.Path) -> bool:
    """Say if the file lacks the constants that TorchScript has beside its data."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        parts = {name.rpartition("/")[2] for name in file.namelist()}
    return "data.pkl" in parts and "constants.pkl" not in parts


def _one_line(error: Exception) -> str:
    """Return the beginning of torch's message, without a full stop."""
    return f"{' '.join(str(error).split()):.300}".rstrip(".")
