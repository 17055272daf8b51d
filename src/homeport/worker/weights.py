"""A model from the files of its archive, by the ending of the weights' file.

With a model file (Python source) the weights are a state dict, alone or inside a
checkpoint; without one they are TorchScript (.pt, .pth) or an exported program (.pt2).
Weights are always read with `weights_only`: a pickle that runs code is refused.
"""

import importlib
import pathlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import torch

from homeport.worker import handlers, loading

_TORCHSCRIPT_ENDINGS: Final = (".pt", ".pth", ".jit")


def load(
    model_dir: pathlib.Path, model_file: str, serialized_file: str, device: torch.device
) -> Any:  # noqa: ANN401  # a module, or the callable of an exported program
    """Return the model in evaluation mode on `device`.

    Args:
        model_dir: The extracted archive.
        model_file: Python source with the model's class, "" for none.
        serialized_file: The weights, "" for none.
        device: Where it computes.

    Raises:
        LoadRefusedError: The files are missing, or are not what they should be.
    """
    if serialized_file and not (model_dir / serialized_file).is_file():
        raise loading.LoadRefusedError(
            f"the manifest names {serialized_file} as serializedFile and it is not in "
            "the archive",
            "Pack the archive again with --serialized-file.",
        )
    if model_file:
        return load_eager(model_dir, model_file, serialized_file, device)
    path = model_dir / serialized_file
    if path.suffix in _TORCHSCRIPT_ENDINGS:
        return load_torchscript(path, device)
    if path.suffix == ".pt2":
        return load_exported(path, device)
    raise loading.LoadRefusedError(
        f"no model can be loaded: the serializedFile is {serialized_file or 'nothing'}",
        "Pack TorchScript (.pt), an exported program (.pt2), or a state dict together "
        "with --model-file; for anything else write a handler that loads it.",
    )


def load_eager(
    model_dir: pathlib.Path, model_file: str, serialized_file: str, device: torch.device
) -> torch.nn.Module:
    """Return the one model class in `model_file`, with the weights if there are any.

    A checkpoint's `model_config` becomes the constructor's keyword arguments.

    Raises:
        LoadRefusedError: No or several classes, or weights of another model.
    """
    model_class = _model_class(model_dir, model_file)
    if not serialized_file:
        return model_class().to(device).eval()
    checkpoint = _read_weights(model_dir / serialized_file, device)
    state, arguments = _state_and_arguments(serialized_file, checkpoint)
    model = model_class(**arguments)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise loading.LoadRefusedError(
            f"the weights in {serialized_file} do not fit the class "
            f"{model_class.__name__} in {model_file}: {_one_line(error)}",
            "Pack the model file that the weights were saved from.",
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
                "state dict together with --model-file.",
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


def _read_weights(path: pathlib.Path, device: torch.device) -> object:
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise loading.LoadRefusedError(
            f"{path.name} holds Python objects beside the weights ({_one_line(error)})",
            "Save model.state_dict() instead of the whole model: loading whole pickles "
            "can run any code.",
        ) from error
    except (RuntimeError, EOFError) as error:
        raise loading.LoadRefusedError(
            f"{path.name} cannot be read as weights: {_one_line(error)}",
            "Save it with torch.save(model.state_dict(), ...) and pack it again.",
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
    return checkpoint, {}


def _is_of_torch_save(path: pathlib.Path) -> bool:
    """Say if the file lacks the constants that TorchScript has beside its data."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        parts = {name.rpartition("/")[2] for name in file.namelist()}
    return "data.pkl" in parts and "constants.pkl" not in parts


def _one_line(error: Exception) -> str:
    """Return the beginning of torch's message, which may fill a screen."""
    return f"{' '.join(str(error).split()):.300}"
