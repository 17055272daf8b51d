"""A torch model of this process, saved into a file; the one module here with torch."""

import contextlib
import inspect
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import torch

from homeport.archive.golden import Golden
from homeport.errors import InvalidArgumentError
from homeport.packing import localmodules

How = Literal["trace", "script", "export", "state_dict"]
# Enough to see whether two requests may share a call.
_SAMPLE_ROWS: Final = 2
_SAMPLE_NUMBERS: Final = 400_000  # as JSON within what an archive may hold


def save(
    model: object,
    how: How | None,
    sample: object,
    directory: Path,
    *,
    find_source: bool,
) -> tuple[Path, Path | None]:
    """Return the file the model was saved in, and that of its class if it needs one.

    The model is saved in evaluation mode, and left in the mode it was in.

    Args:
        model: A module, TorchScript or an exported program.
        how: None traces with a sample, scripts without one.
        sample: A tensor, what becomes one, or a tuple of them, one for each argument of
            forward; the first dimension is the batch.
        directory: For the file, `model.*`.
        find_source: Whether a state dict's class is looked for.

    Raises:
        InvalidArgumentError: It is no model, or cannot be saved so.
    """
    if isinstance(model, torch.export.ExportedProgram):
        return _save_program(model, directory), None
    if not isinstance(model, torch.nn.Module):
        raise InvalidArgumentError(
            f"{type(model).__name__} is no torch.nn.Module: give a module, "
            "TorchScript, an exported program, or the path of a saved model"
        )
    source = _source_of(type(model)) if how == "state_dict" and find_source else None
    with _evaluating(model), torch.no_grad():
        return _save_module(model, how, sample, directory), source


def answer(model: object, sample: object) -> Golden | None:
    """Return the sample's first two rows as a request, with the model's own answer.

    None where base_handler could not be asked so: several arguments, no batch, rows of
    very many numbers, an output that is not one finite tensor with a row for each.

    Args:
        model: As `save` took it.
        sample: As `save` took it.
    """
    arguments = _arguments(sample, "answer")
    if len(arguments) != 1 or not arguments[0].dim():
        return None
    rows = arguments[0][:_SAMPLE_ROWS]
    if rows.numel() > _SAMPLE_NUMBERS:
        return None
    try:
        output = _output(model, rows)
        if output is None or output.shape[:1] != rows.shape[:1]:
            return None
        return Golden({"instances": rows.tolist()}, tuple(output.tolist()))
    # The model's own code: it may refuse so few rows.
    except Exception:  # noqa: BLE001
        return None


def _output(model: Any, rows: torch.Tensor) -> torch.Tensor | None:  # noqa: ANN401
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
        found = model(rows)
    else:
        with _evaluating(model), torch.no_grad():
            found = model(rows)
    if not isinstance(found, torch.Tensor) or found.is_complex() or not found.dim():
        return None
    return found.detach() if bool(found.isfinite().all()) else None


def _save_module(
    model: torch.nn.Module, how: How | None, sample: object, directory: Path
) -> Path:
    if how == "state_dict":
        path = directory / "model.pth"
        torch.save(model.state_dict(), path)
        return path
    if isinstance(model, torch.jit.ScriptModule):
        return _save_script(model, directory)
    if how == "script" or (how is None and sample is None):
        return _save_script(_scripted(model), directory)
    arguments = _arguments(sample, how or "trace")
    if how == "export":
        return _save_program(_exported(model, arguments), directory)
    return _save_script(_traced(model, arguments), directory)


@contextlib.contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hide torch's own deprecations: TorchScript, from 2.13 on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _arguments(sample: object, how: str) -> tuple[torch.Tensor, ...]:
    if sample is None:
        raise InvalidArgumentError(
            f"to {how} a model takes one input: give sample=, a tensor of one batch"
        )
    given = sample if isinstance(sample, tuple) else (sample,)
    try:
        return tuple(torch.as_tensor(argument) for argument in given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidArgumentError(
            f"the sample is no tensor ({_one_line(error)}): give a tensor of one "
            "batch, or a tuple with one for each argument"
        ) from error


def _scripted(model: torch.nn.Module) -> torch.jit.ScriptModule:
    try:
        with _quietly():
            script: torch.jit.ScriptModule = torch.jit.script(model)
    # The compiler raises what it likes: NotSupportedError, OSError without source.
    except (RuntimeError, OSError, TypeError, ValueError, AttributeError) as error:
        raise _failed("be scripted", error, "give a sample to trace it with") from error
    return script


def _traced(model: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> Any:  # noqa: ANN401  # torch's
    try:
        with _quietly():
            return torch.jit.trace(model, arguments)  # type: ignore[no-untyped-call]  # torch's
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        remedy = "give a sample that the model takes, or how='script' or 'state_dict'"
        raise _failed("be traced", error, remedy) from error


def _exported(
    model: torch.nn.Module, arguments: tuple[torch.Tensor, ...]
) -> torch.export.ExportedProgram:
    # A batch of one would be taken for the only size there is.
    batches = tuple(
        torch.cat([argument, argument])
        if argument.dim() and argument.shape[0] == 1
        else argument
        for argument in arguments
    )
    free = tuple(
        {0: torch.export.Dim.AUTO} if batch.dim() else None for batch in batches
    )
    try:
        with _quietly():
            return torch.export.export(model, batches, dynamic_shapes=free)
    # Its own errors, UserError and Unsupported, are RuntimeErrors.
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        remedy = "give a sample that the model takes, or how='trace' or 'state_dict'"
        raise _failed("be exported", error, remedy) from error


def _save_script(script: Any, directory: Path) -> Path:  # noqa: ANN401  # torch's
    path = directory / "model.pt"
    with _quietly():
        script.save(str(path))
    return path


def _save_program(program: torch.export.ExportedProgram, directory: Path) -> Path:
    path = directory / "model.pt2"
    torch.export.save(program, path)
    return path


def _source_of(model_class: type) -> Path:
    source = _file_of(model_class)
    if source is None or model_class.__module__ == "__main__":
        raise InvalidArgumentError(
            f"the class {model_class.__name__} is defined in this session and in no "
            "module: move it into a file, or give that file as model_file"
        )
    if not localmodules.is_own(source):
        raise InvalidArgumentError(
            f"the class {model_class.__name__} is of an installed package: give a file "
            "with a class of yours around it as model_file, or a sample to trace with"
        )
    return source


def _file_of(model_class: type) -> Path | None:
    module = sys.modules.get(model_class.__module__)
    file = getattr(module, "__file__", None)
    with contextlib.suppress(TypeError, OSError):
        file = inspect.getsourcefile(model_class) or file
    return Path(file) if file and Path(file).is_file() else None


def _failed(what: str, error: Exception, remedy: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the model cannot {what} ({_one_line(error)}): {remedy}"
    )


def _one_line(error: Exception) -> str:
    return f"{' '.join(str(error).split()):.200}"
