"""What every format's module says of its format."""

import dataclasses
from collections.abc import Callable
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.packing.formats.evidence import Evidence

_NAMED: Final = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a saved model is to be packed.

    Attributes:
        file_name: The saved model's, for messages.
        evidence: The file.
        model_file: Whether a file with the model's class comes along.
        default_handler: Which handler of ours loads it, "" if the author's own does.
        is_inherited: Whether that is the base class of the author's own handler.
        trust_pickle: Whether the author lets loading it run code.
    """

    file_name: str
    evidence: Evidence
    model_file: bool
    default_handler: str
    trust_pickle: bool
    is_inherited: bool = False

    @property
    def own_loading(self) -> str:
        """How the author's own code loads it instead, as an advice."""
        if self.is_inherited:
            return "load it in an initialize of your own"
        return "give a handler of your own with --handler that loads it"


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """A way to save a model.

    Attributes:
        name: As people call it.
        recognizes: Tells whether a file is in this format, by its content.
        check: Raises InvalidArgumentError if it cannot be packed as wanted.
    """

    name: str
    recognizes: Callable[[Evidence], bool]
    check: Callable[[Wanted], None]


def accept(wanted: Wanted) -> None:
    """Need nothing: a default handler loads the file alone."""
    del wanted


def need_class(what: str) -> Callable[[Wanted], None]:
    """Return a check that refuses bare tensors where nobody brings the class."""

    def check(wanted: Wanted) -> None:
        if wanted.default_handler and not wanted.model_file:
            raise InvalidArgumentError(
                f"{wanted.file_name} is {what}, which {wanted.default_handler} loads "
                "only into a class: give the class's file with --model-file, save "
                f"TorchScript instead, or {wanted.own_loading}"
            )

    return check


def refuse_for_now(family: str) -> Callable[[Wanted], None]:
    """Return a check for a format that only an own handler can load today."""

    def check(wanted: Wanted) -> None:
        if wanted.default_handler:
            raise InvalidArgumentError(
                f"{wanted.file_name} is {family}, which {wanted.default_handler} does "
                f"not load: that comes in a later release, until then "
                f"{wanted.own_loading}"
            )

    return check


def listed(names: tuple[str, ...]) -> str:
    """Return the first few names as text."""
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
