"""Modules that a model's own environment may lack."""

import importlib
from typing import Any


def module(name: str) -> Any:  # noqa: ANN401  # a module, or None
    """Return the top-level module `name`, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
