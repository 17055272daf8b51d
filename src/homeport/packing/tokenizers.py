"""A tokenizer in the archive under a name that its handler counts on.

It is a file of any kind, or a directory that `save_pretrained` of a Hugging Face
tokenizer wrote.
"""

from pathlib import Path
from typing import Final

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.packing import sources

# One of these is in every directory that a tokenizer's save_pretrained wrote.
_SAVED: Final = (
    "tokenizer_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
)


def members(tokenizer: Path | None, name: str) -> dict[str, Path]:
    """Return the source of each path in the archive that the tokenizer becomes.

    Args:
        tokenizer: The file or directory; None for none.
        name: What it is called in the archive's root; "" keeps its own name.

    Raises:
        NotFoundError: Nothing is there.
        InvalidArgumentError: A name without a tokenizer, or one that is no plain name;
            an empty file; a directory without a tokenizer in it.
    """
    if tokenizer is None:
        if name:
            raise InvalidArgumentError(
                f"tokenizer name {name!r:.80} names no tokenizer: give its file with "
                "--tokenizer"
            )
        return {}
    name = name or tokenizer.resolve().name
    _check_name(name)
    if not tokenizer.exists():
        raise NotFoundError(
            f"tokenizer {str(tokenizer)!r} does not exist: check the path"
        )
    if tokenizer.is_dir():
        return _of_directory(tokenizer, name)
    sources.check_file(tokenizer, "tokenizer")
    return {name: tokenizer}


def _check_name(name: str) -> None:
    if "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
        raise InvalidArgumentError(
            f"tokenizer name {name!r:.80} is no file name: give one without '/', '\\' "
            "and a dot in front, such as tokenizer.pkl"
        )


def _of_directory(directory: Path, name: str) -> dict[str, Path]:
    if not any((directory / saved).is_file() for saved in _SAVED):
        raise InvalidArgumentError(
            f"tokenizer {str(directory)!r} is a directory without any of "
            f"{', '.join(_SAVED)}: give the tokenizer's file, or the directory that "
            "its save_pretrained wrote"
        )
    return dict(sources.walk(directory, name))
