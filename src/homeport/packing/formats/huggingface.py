"""A Hugging Face directory: a configuration, weights, a tokenizer, side by side.

It lies flat in the archive, so that a handler loads it with
`from_pretrained(model_dir)`.
"""

from pathlib import Path
from typing import Final

from homeport.errors import InvalidArgumentError

_CONFIG: Final = "config.json"
# In the order in which `from_pretrained` looks for them.
_WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def recognizes(directory: Path) -> bool:
    """Tell whether a directory holds a model as Hugging Face saves it."""
    return (directory / _CONFIG).is_file() and _weights(directory) is not None


def expand(directory: Path, *, default_handler: str) -> tuple[Path, tuple[Path, ...]]:
    """Return the weights, or the index of their parts, and the files beside them.

    Hidden files and folders, and folders of other checkpoints, are left out.

    Raises:
        InvalidArgumentError: No handler of the author's, or no weights.
    """
    weights = _weights(directory)
    if weights is None:
        raise InvalidArgumentError(
            f"{directory.name} holds none of {', '.join(_WEIGHTS)}: save the model "
            "with save_pretrained"
        )
    if default_handler:
        raise InvalidArgumentError(
            f"{directory.name} is a Hugging Face directory, which {default_handler} "
            "does not load: give a handler of your own with --handler that calls "
            "from_pretrained on the model directory"
        )
    beside = (
        path
        for path in sorted(directory.iterdir())
        if path.is_file() and path != weights and not path.name.startswith(".")
    )
    return weights, tuple(beside)


def _weights(directory: Path) -> Path | None:
    found = (directory / name for name in _WEIGHTS)
    return next((path for path in found if path.is_file()), None)
