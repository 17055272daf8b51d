"""What the server imports for an archive: its handlers and formats need packages."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from homeport.archive.manifest import Manifest

_TORCH: Final = ("torch",)
_IMAGES: Final = ("torch", "PIL", "numpy")
_OF_HANDLERS: Final[Mapping[str, Sequence[str]]] = {
    "base_handler": _TORCH,
    "image_classifier": _IMAGES,
}
_OF_MODULES: Final[Mapping[str, Sequence[str]]] = {
    "ts.torch_handler.base_handler": _TORCH,
    "ts.torch_handler.image_classifier": _IMAGES,
    "ts.torch_handler.vision_handler": _IMAGES,
}
_SAFETENSORS_ENDING: Final = ".safetensors"


def of_manifest(manifest: Manifest, paths: Collection[str]) -> dict[str, Sequence[str]]:
    """Return the modules that are needed, by what needs them.

    Args:
        manifest: What the archive says of itself.
        paths: What lies in it; a file goes before a default handler of its name.
    """
    needed: dict[str, Sequence[str]] = {}
    handler = manifest.handler_module
    if handler in _OF_HANDLERS and f"{handler}.py" not in paths:
        needed[handler] = _OF_HANDLERS[handler]
    if manifest.serialized_file.endswith(_SAFETENSORS_ENDING):
        needed[manifest.serialized_file] = ("safetensors",)
    if manifest.config_file:
        needed[manifest.config_file] = ("yaml",)
    return needed


def of_modules(modules: Iterable[str]) -> tuple[str, ...]:
    """Return what some of TorchServe's modules need, each once."""
    needed = (name for module in modules for name in _OF_MODULES.get(module, ()))
    return tuple(dict.fromkeys(needed))
