"""What TorchServe's `ts` package offers to handlers, besides BaseHandler and Context.

Written anew to the documented behaviour; `torchserve` gives it TorchServe's names.
"""

import functools
import inspect
import itertools
import json
import pathlib
import time
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


class PredictionException(Exception):  # noqa: N818  # TorchServe's name
    """What a handler raises to choose the HTTP code of its refusal.

    Args:
        message: For the client.
        error_code: An HTTP status.
    """

    def __init__(self, message: str, error_code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    def __str__(self) -> str:
        return f"{self.message} : {self.error_code}"


def list_classes_from_module(
    module: types.ModuleType, parent_class: type | None = None
) -> list[type]:
    """Return the classes defined in `module` itself, by name."""
    return [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__
        and (parent_class is None or issubclass(cls, parent_class))
    ]


def load_label_mapping(mapping_file_path: str) -> dict[str, str] | None:
    """Return the label of each class index, None if there is no such file.

    A label given as a list stands for its last element; `object_type_names` may hold
    a plain list of labels.

    Raises:
        ValueError: The file is no JSON.
        TypeError: It holds something else.
    """
    path = pathlib.Path(mapping_file_path)
    if not path.is_file():
        return None
    mapping = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(mapping, dict):
        raise TypeError(f'{path.name} holds no JSON object such as {{"0": "cat"}}')
    names = mapping.get("object_type_names")
    if isinstance(names, list):
        return {str(index): name for index, name in enumerate(names)}
    return {index: _label(path.name, label) for index, label in mapping.items()}


def map_class_to_label(
    probs: list[Sequence[float]],
    mapping: Mapping[str, str] | None = None,
    lbl_classes: Iterable[Iterable[object]] | None = None,
) -> list[dict[str, float]]:
    """Return for each row of `probs` the probability by label.

    Args:
        probs: One row for each instance.
        mapping: Labels by class index as text; None keeps the index.
        lbl_classes: The class index of each column; None counts from 0.

    Raises:
        TypeError: `probs` is no list, or `mapping` no dict.
    """
    if not isinstance(probs, list):
        raise TypeError("probs is no list: call tolist() on it first")
    if mapping is not None and not isinstance(mapping, dict):
        raise TypeError("mapping is no dict")
    columns = itertools.repeat(range(len(probs[0]))) if probs else ()
    rows = zip(lbl_classes or columns, probs, strict=False)
    return [
        {
            mapping[str(index)] if mapping is not None else str(index): probability
            for index, probability in zip(classes, row, strict=False)
        }
        for classes, row in rows
    ]


def timed(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method`, timed if model-config.yaml says `handler: {profile: true}`."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        settings = getattr(self.context, "model_yaml_config", None) or {}
        if not (settings.get("handler") or {}).get("profile"):
            return method(self, *args, **kwargs)
        begin = time.perf_counter()
        result = method(self, *args, **kwargs)
        elapsed_ms = (time.perf_counter() - begin) * 1000
        self.context.metrics.add_time(f"ts_handler_{method.__name__}", elapsed_ms)
        return result

    return wrapper


def send_intermediate_response(
    ret: Sequence[object],
    req_id_map: Mapping[int, str],
    message: str,
    code: int,
    context: Any = None,  # noqa: ANN401  # a Context, which authors may fake
) -> None:
    """Send one piece of a streamed answer for each request of the call.

    Args:
        ret: One piece for each request; a call that streams has one request.
        req_id_map: TorchServe's, without use here.
        message: TorchServe's, without use here.
        code: TorchServe's, without use here; `context.set_response_status` sets it.
        context: The handler's.
    """
    del req_id_map, message, code
    for piece in ret:
        context.send_intermediate(piece)


def _label(file_name: str, label: object) -> str:
    if isinstance(label, list) and label:
        label = label[-1]
    if not isinstance(label, str):
        raise TypeError(f"{file_name} has the label {label!r:.40}: give it as text")
    return label
