"""The messages of our own methods on the traffic of an endpoint."""

import re
from typing import Final

import pydantic

from homeport.edge import codec, scalars

_NUMBER: Final = re.compile(r"[0-9]{1,18}(?:\.0)?", re.ASCII)


class RollbackRequest(codec.Message):
    """Which traffic state is wanted again; 0 for the one before the newest."""

    state: codec.Int64 = 0

    @pydantic.field_validator("state", mode="before")
    @classmethod
    def _check_number(cls, value: object) -> object:
        if not _NUMBER.fullmatch(str(value)):
            raise scalars.refusal("the number of a state, as trafficStates lists them")
        return value
