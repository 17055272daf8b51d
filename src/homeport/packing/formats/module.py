"""A whole module, pickled by torch.save: loading it runs code."""

from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, Wanted, listed


def _recognizes(evidence: Evidence) -> bool:
    found = evidence.torch_pickle
    return found is not None and found.is_foreign_object


def _check(wanted: Wanted) -> None:
    found = wanted.evidence.torch_pickle
    imports = found.foreign if found is not None else ()
    if not wanted.trust_pickle:
        raise InvalidArgumentError(
            f"{wanted.file_name} is a whole pickled module, and loading it imports "
            f"{listed(imports)} and can run any code: save model.state_dict() and give "
            "--model-file, or give --trust-pickle if you made the file yourself"
        )
    unreachable = tuple(name for name in imports if name.startswith("__main__."))
    if unreachable:
        raise InvalidArgumentError(
            f"{wanted.file_name} needs {listed(unreachable)}, a class of the script "
            "that saved it, which nothing else can import: move the class into a "
            "module, import it from there, and save the model again"
        )


FORMAT: Final = Format("pickled module", _recognizes, _check)
