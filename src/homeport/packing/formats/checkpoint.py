"""What torch.save wrote of a dictionary: a state dict, or a checkpoint around one."""

from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, Wanted, listed, need_class

# The keys that the worker looks for.
_KEYS: Final = frozenset({"model_state_dict", "state_dict"})


def _is_dictionary(evidence: Evidence) -> bool:
    return evidence.torch_pickle is not None and evidence.torch_pickle.is_dictionary


def _is_full(evidence: Evidence) -> bool:
    found = evidence.torch_pickle
    return found is not None and found.is_dictionary and bool(found.strings & _KEYS)


def _is_other(evidence: Evidence) -> bool:
    return evidence.is_legacy_torch or "data.pkl" in evidence.zip_names


def _check_checkpoint(wanted: Wanted) -> None:
    need_class("a checkpoint written by torch.save")(wanted)
    found = wanted.evidence.torch_pickle
    foreign = found.foreign if found is not None else ()
    if foreign and wanted.default_handler and not wanted.trust_pickle:
        raise InvalidArgumentError(
            f"{wanted.file_name} holds Python objects beside the weights "
            f"({listed(foreign)}), and loading them can run any code: save the state "
            "dict alone, or give --trust-pickle if you made the file yourself"
        )


FULL: Final = Format("full checkpoint", _is_full, _check_checkpoint)
STATE_DICT: Final = Format("state dict", _is_dictionary, _check_checkpoint)
# A pickle that cannot be read, or that is no dictionary: the worker will tell.
OTHER: Final = Format("torch.save checkpoint", _is_other, _check_checkpoint)
