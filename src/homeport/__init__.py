"""Homeport, the port of registry for your models.

Nothing is imported here: `import homeport` is fast and pulls in no framework. `pack`
comes when it is first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeport.packing.frompython import pack as pack

__version__ = "0.1.0"
__all__ = ["__version__", "pack"]


def __getattr__(name: str) -> object:
    if name != "pack":
        raise AttributeError(f"module 'homeport' has no attribute {name!r}")
    # Deferred: the command line and the servers never ask for it.
    from homeport.packing import frompython  # noqa: PLC0415

    return frompython.pack
