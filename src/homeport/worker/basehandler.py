"""BaseHandler as TorchServe's handlers subclass it, written anew to its behaviour.

Attribute and method names are TorchServe's: authors read and override them.
"""

import pathlib
from typing import Any, Final

import torch

from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.worker import handlers, results, weights
from homeport.worker.context import Context

_CPU: Final = torch.device("cpu")


class InputRefusedError(InvalidArgumentError, RuntimeError):
    """The model's forward raised; still a RuntimeError to an author's `except`."""


class BaseHandler:
    """Loads the archive's model and serves tensors; authors override the steps.

    One handler lives in one process and is never called twice at the same time.
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.mapping: dict[str, str] | None = None
        self.device: torch.device | None = None
        self.initialized = False
        self.context: Context | None = None
        self.model_pt_path: str | None = None
        self.manifest: dict[str, Any] | None = None
        self.map_location: str | None = None
        self.explain = False
        self.target = 0
        self.profiler_args: dict[str, Any] = {}
        self.model_yaml_config: dict[str, Any] = {}

    def initialize(self, context: Context) -> None:
        """Load model and labels; sets the attributes that the other steps use.

        Raises:
            LoadRefusedError: The archive holds no model that can be loaded.
        """
        properties = context.system_properties
        self.context = context
        self.model_yaml_config = context.model_yaml_config
        self.manifest = context.manifest
        self.map_location, self.device = _place(properties.get("gpu_id"))
        model_dir = pathlib.Path(properties["model_dir"])
        names = context.manifest["model"]
        serialized_file = names.get("serializedFile") or ""
        if serialized_file:
            self.model_pt_path = str(model_dir / serialized_file)
            weights.check_there(model_dir, serialized_file)
        model_file = names.get("modelFile") or ""
        if model_file:
            loaded = self._load_pickled_model(
                str(model_dir), model_file, self.model_pt_path
            )
            if isinstance(loaded, torch.nn.Module):
                loaded.to(self.device)
            self.model = _evaluating(loaded)
        else:
            self.model = weights.load_whole(
                model_dir,
                serialized_file,
                self.device,
                lambda path: _evaluating(self._load_torchscript_model(path)),
            )
        self.mapping = handlers.load_label_mapping(
            str(model_dir / "index_to_name.json")
        )
        self.initialized = True

    def _load_pickled_model(
        self, model_dir: str, model_file: str, model_pt_path: str | None
    ) -> Any:  # noqa: ANN401  # authors override it
        """Return the model of a class and its weights, in evaluation mode.

        Args:
            model_dir: The extracted archive.
            model_file: Python source with the model's class.
            model_pt_path: The weights, None for none.

        Raises:
            LoadRefusedError: They are not what they should be.
        """
        path = pathlib.Path(model_pt_path) if model_pt_path else None
        return weights.load_eager(
            pathlib.Path(model_dir), model_file, path, self.device or _CPU
        )

    def _load_torchscript_model(self, model_pt_path: str) -> Any:  # noqa: ANN401  # authors override it
        """Return the model that a file holds whole, in evaluation mode.

        Raises:
            LoadRefusedError: The file is no TorchScript.
        """
        path = pathlib.Path(model_pt_path)
        # An author's own `initialize` may ask before there is a context.
        properties = self.context.system_properties if self.context else {}
        model_dir = pathlib.Path(properties.get("model_dir", path.parent))
        return weights.load_script(model_dir, path, self.device or _CPU)

    def preprocess(self, data: Any) -> Any:  # noqa: ANN401  # authors override it
        """Return the rows as one tensor, shape (rows, ...).

        Raises:
            InvalidArgumentError: The rows are not numbers in lists of one shape.
        """
        try:
            return torch.as_tensor(data, device=self.device)
        except (TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InvalidArgumentError(
                f"the instances are not numbers in lists of one shape: {reason:.200}"
            ) from error

    def inference(self, data: Any, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        """Return the model's output for one batch.

        Raises:
            InputRefusedError: The model's forward raised RuntimeError or IndexError.
        """
        with torch.inference_mode():
            batch = data.to(self.device)
            try:
                return self.model(batch, *args, **kwargs)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, IndexError) as error:
                raise refused(batch, error) from error

    def postprocess(self, data: Any) -> Any:  # noqa: ANN401  # authors override it
        """Return one JSON value for each row."""
        return data.tolist()

    def handle(self, data: Any, context: Context) -> Any:  # noqa: ANN401
        """Return one prediction for each row of `data`, or one explanation."""
        self.context = context
        batch = self.preprocess(data)
        if context.explain:
            return self.explain_handle(batch, data)
        return self.postprocess(self.inference(batch))

    def explain_handle(self, data_preprocess: Any, raw_data: Any) -> list[Any]:  # noqa: ANN401
        """Return what `get_insights` says of each row.

        It is asked of one row after the other where `preprocess` made a tensor or list
        of them, and else of all at once, as in TorchServe. A list with one entry for
        each row it was asked of is taken apart.

        Args:
            data_preprocess: What `preprocess` made of all rows.
            raw_data: The rows; one that is a dict may name its `target`.

        Raises:
            FailedPreconditionError: The handler has no `get_insights`.
        """
        if not hasattr(self, "get_insights"):
            raise FailedPreconditionError(
                "the handler cannot explain: give it a method "
                "get_insights(tensor_data, raw_data, target), and deploy that version"
            )
        rows = len(raw_data)
        if rows == 1 or not isinstance(data_preprocess, torch.Tensor | list):
            return self._insights(data_preprocess, raw_data)
        return [
            insight
            for index in range(rows)
            for insight in self._insights(
                data_preprocess[index : index + 1], raw_data[index : index + 1]
            )
        ]

    def _insights(self, data_preprocess: Any, raw_data: Any) -> list[Any]:  # noqa: ANN401
        """Return what is said of rows that are asked of together, by the first one."""
        row = raw = raw_data[0]
        target = self.target
        if isinstance(row, dict):
            raw = row.get("data") or row.get("body") or row
            target = row.get("target") or target
        insights = self.get_insights(data_preprocess, raw, target)  # type: ignore[attr-defined]  # the author's
        if isinstance(insights, list) and len(insights) == len(raw_data):
            return insights
        return [insights]


def refused(batch: torch.Tensor, error: Exception) -> InputRefusedError:
    """Return the error of a model whose forward raised on `batch`."""
    shape = tuple(getattr(batch, "shape", ()))
    dtype = str(getattr(batch, "dtype", type(batch).__name__)).removeprefix("torch.")
    # TorchScript's message is its own traceback; the last line is the reason.
    reason = [line for line in str(error).splitlines() if line.strip()] or [""]
    is_row = len(shape) == 1 and shape[0] > 1
    hint = f"; {results.WRAP}" if is_row else ""
    return InputRefusedError(
        f"the model refused an input of shape {shape} and type {dtype}: "
        f"{reason[-1].strip():.300}{hint}"
    )


def _evaluating(model: Any) -> Any:  # noqa: ANN401
    """Return a model that an author's method may have left in training."""
    if hasattr(model, "eval"):
        model.eval()
    return model


def _place(gpu_id: int | None) -> tuple[str, torch.device]:
    """Return torch's name of the kind of device, and the device."""
    if gpu_id is not None and torch.cuda.is_available():
        return "cuda", torch.device(f"cuda:{gpu_id}")
    if gpu_id is not None and torch.backends.mps.is_available():
        return "mps", torch.device("mps")
    return "cpu", torch.device("cpu")
