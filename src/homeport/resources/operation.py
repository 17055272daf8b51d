"""Operation: the promise a long-running method returns."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from homeport.errors import Code
from homeport.resources.names import OperationName


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """How an operation failed.

    Attributes:
        code: The google.rpc.Code of its cause.
        message: For the caller.
    """

    code: Code
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """A long-running operation as it stands.

    Attributes:
        name: Its full name.
        metadata: The typed metadata of the method, with "@type", in wire JSON.
        done: Whether it ended.
        failure: Its failure, None unless it ended badly.
        response: The typed response in wire JSON, None unless it ended well.
        create_time: UTC.
        update_time: UTC.
    """

    name: OperationName
    metadata: Mapping[str, Any]
    done: bool
    failure: Failure | None
    response: Mapping[str, Any] | None
    create_time: dt.datetime
    update_time: dt.datetime
