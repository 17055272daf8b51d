"""Modules that a model's own environment may lack."""

import importlib
from typing import Any

from homeport.worker import exposure


def module(name: str) -> Any:  # noqa: ANN401  # a module, or None
    """Return the top-level module `name`, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def remedy(package: str, *, here: str) -> str:
    """Return what brings a package that is missing into this worker's environment.

    Args:
        package: The distribution's name.
        here: What does in the server's own environment.
    """
    if exposure.is_all_there_is():
        return f"list {package} in the archive's requirements and pack it again"
    return here
