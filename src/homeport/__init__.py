"""Homeport, the port of registry for your models.

Nothing is imported here: `import homeport` is fast and pulls in no framework. `pack`
and the Python client come when they are first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from homeport.client.batchpredictions import BatchPredictions as BatchPredictions
    from homeport.client.endpoints import Endpoints as Endpoints
    from homeport.client.modelregistry import ModelRegistry as ModelRegistry
    from homeport.packing.frompython import pack as pack

__version__ = "0.1.0"
__all__ = ["BatchPredictions", "Endpoints", "ModelRegistry", "__version__", "pack"]

_MODULES: Final = {
    "BatchPredictions": "homeport.client.batchpredictions",
    "Endpoints": "homeport.client.endpoints",
    "ModelRegistry": "homeport.client.modelregistry",
    "pack": "homeport.packing.frompython",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'homeport' has no attribute {name!r}")
    # Deferred: the command line and the servers never ask for them.
    return getattr(importlib.import_module(_MODULES[name]), name)
