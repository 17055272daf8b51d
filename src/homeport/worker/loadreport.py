"""What a worker says of itself when it has loaded its model, or why it has not."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from homeport.errors import Code, HomeportError
from homeport.worker import protocol
from homeport.worker.protocol import Frame, Kind


@dataclasses.dataclass(frozen=True, slots=True)
class LoadReport:
    """What a loaded worker says about itself.

    Attributes:
        pid: Of the process, which leads a group of its own.
        batch_size: Requests in one call of the handler, at most.
        max_batch_delay_s: How long a request may wait for company.
        response_timeout_s: The longest one call may take, None for no limit of its own.
        handler: As the manifest names it.
        response_timeout_source: Where that limit was set, for people.
        import_s: What importing the handler took, in the process that had started.
        load_s: What initialising it took after that.
    """

    pid: int
    batch_size: int
    max_batch_delay_s: float
    response_timeout_s: float | None
    handler: str
    response_timeout_source: str = ""
    import_s: float = 0.0
    load_s: float = 0.0


class ReplicaLoadError(HomeportError):
    """The archive's code or files did not load.

    Args:
        cause: One sentence without the final full stop.
        remedy: What to do, one sentence.
        traceback: The author's frames, "" if there are none.
    """

    code = Code.FAILED_PRECONDITION

    def __init__(self, cause: str, remedy: str, traceback: str) -> None:
        super().__init__(f"the model did not load: {cause}. {remedy}")
        self.cause = cause
        self.remedy = remedy
        self.traceback = traceback


def read(frame: Frame, pid: int, imported: Mapping[str, Any]) -> LoadReport:
    """Return what the worker said when it had loaded.

    Raises:
        ReplicaLoadError: It said that it had not.
        ProtocolError: It said something else.
    """
    said: dict[str, Any] = protocol.decode_json(frame.payload)
    if frame.kind == Kind.LOAD_FAILED:
        raise ReplicaLoadError(
            str(said.get("cause")), str(said.get("remedy")), str(said.get("traceback"))
        )
    if frame.kind != Kind.LOADED:
        raise protocol.ProtocolError(
            f"the worker answered LOAD with a frame of kind {frame.kind}: "
            "its environment holds another Homeport"
        )
    try:
        limit_s = said["response_timeout_s"]
        return LoadReport(
            pid=pid,
            batch_size=int(said["batch_size"]),
            max_batch_delay_s=float(said["max_batch_delay_s"]),
            response_timeout_s=(
                None if limit_s is None else protocol.read_seconds(limit_s)
            ),
            handler=str(said["handler"]),
            response_timeout_source=str(said["response_timeout_source"]),
            import_s=protocol.read_seconds(imported["import_s"]),
            load_s=protocol.read_seconds(said["load_s"]),
        )
    except KeyError as error:
        raise protocol.ProtocolError(
            f"the worker's report lacks {error}: its environment holds another Homeport"
        ) from error
    except (TypeError, ValueError) as error:
        raise protocol.ProtocolError(
            f"the worker's report cannot be read ({type(error).__name__}): its "
            "environment holds another Homeport"
        ) from error
