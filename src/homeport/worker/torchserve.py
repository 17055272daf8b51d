"""TorchServe's module names, answered by ours: `from ts.torch_handler... import ...`.

A finder on `sys.meta_path` makes each module when it is first imported, so torch is
imported only by a handler that asks for BaseHandler. Installed in the child alone.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from homeport.worker import context, handlers, loading, metrics

VERSION: Final = "0.12.0"  # the TorchServe whose behaviour is offered
REFUSED_HANDLERS: Final = frozenset(
    {
        "dali_image_classifier",
        "image_segmenter",
        "object_detector",
        "text_classifier",
        "trt_llm_handler",
        "vllm_handler",
    }
)


def install() -> None:
    """Answer `ts` and everything below it from here on; a second call does nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def refuse_handler(name: str) -> loading.LoadRefusedError:
    """Return the error for one of TorchServe's own handlers that is not offered."""
    return loading.LoadRefusedError(
        f"{name} is a handler of TorchServe's own, which Homeport does not bring",
        "Pack your own handler file: a class with initialize and handle, for example "
        "a subclass of BaseHandler.",
    )


def offers(module: str) -> bool:
    """Tell whether `module`, such as ts.context, is one of those answered."""
    return module in _MODULES


def is_package(module: str) -> bool:
    """Tell whether `module` is one whose members are modules too."""
    return module in _PACKAGES


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and makes the modules of `_MODULES`."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the protocol's
        target: types.ModuleType | None = None,  # noqa: ARG002  # the protocol's
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "ts":
            return None
        if fullname in _MODULES:
            return importlib.util.spec_from_loader(
                fullname, self, is_package=fullname in _PACKAGES
            )
        raise ModuleNotFoundError(
            f"Homeport does not offer TorchServe's module {fullname!r}", name=fullname
        )

    def create_module(
        self,
        spec: importlib.machinery.ModuleSpec,  # noqa: ARG002  # the protocol's
    ) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module).update(_MODULES[module.__name__]())


def _base_handler() -> Mapping[str, Any]:
    # Deferred: it imports torch, which a plain Python handler does not need.
    from homeport.worker import basehandler  # noqa: PLC0415

    return {"BaseHandler": basehandler.BaseHandler}


def _vision_handler() -> Mapping[str, Any]:
    # Deferred: it needs Pillow too.
    from homeport.worker import visionhandler  # noqa: PLC0415

    return {"VisionHandler": visionhandler.VisionHandler}


def _image_classifier() -> Mapping[str, Any]:
    from homeport.worker import visionhandler  # noqa: PLC0415

    return {"ImageClassifier": visionhandler.ImageClassifier}


def _empty() -> Mapping[str, Any]:
    return {}


_MODULES: Final[Mapping[str, Callable[[], Mapping[str, Any]]]] = {
    "ts": lambda: {"__version__": VERSION},
    "ts.context": lambda: {
        "Context": context.Context,
        "RequestProcessor": context.RequestProcessor,
    },
    "ts.handler_utils": _empty,
    "ts.handler_utils.utils": lambda: {
        "send_intermediate_predict_response": handlers.send_intermediate_response,
    },
    "ts.handler_utils.timer": lambda: {"timed": handlers.timed},
    "ts.metrics": _empty,
    "ts.metrics.dimension": lambda: {"Dimension": metrics.Dimension},
    "ts.metrics.metrics_store": lambda: {"MetricsStore": metrics.Metrics},
    "ts.service": lambda: {"PredictionException": handlers.PredictionException},
    "ts.torch_handler": _empty,
    "ts.torch_handler.base_handler": _base_handler,
    "ts.torch_handler.image_classifier": _image_classifier,
    "ts.torch_handler.vision_handler": _vision_handler,
    "ts.utils": _empty,
    "ts.utils.util": lambda: {
        "PredictionException": handlers.PredictionException,
        "list_classes_from_module": handlers.list_classes_from_module,
        "load_label_mapping": handlers.load_label_mapping,
        "map_class_to_label": handlers.map_class_to_label,
    },
}
_PACKAGES: Final = frozenset(
    name.rpartition(".")[0] for name in _MODULES if "." in name
)
