"""The context a handler is given: what it may ask about its model and its requests."""

from collections.abc import Callable, Mapping
from typing import Any

from homeport.errors import HandlerError
from homeport.worker.metrics import Metrics


class RequestProcessor:
    """One request of a call: its headers, and the answer's status and headers."""

    def __init__(self, request_header: Mapping[str, str] | None = None) -> None:
        self._request_header = dict(request_header or {})
        self._response_header: dict[str, str] = {}
        self._status: tuple[int, str] = (200, "")

    def get_request_property(self, key: str) -> str | None:
        """Return one request header, in whatever case; None without it.

        The headers of a raw request are here; a :predict request brings none.
        """
        return self._request_header.get(key.lower())

    def get_request_properties(self) -> dict[str, str]:
        """Return all request headers."""
        return self._request_header

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the HTTP status; 400 and above make the request fail."""
        self._status = (code, reason_phrase or "")

    def get_response_status_code(self) -> int:
        """Return the HTTP status, 200 if the handler set none."""
        return self._status[0]

    def get_response_status_phrase(self) -> str:
        """Return the phrase given with the status."""
        return self._status[1]

    def add_response_property(self, key: str, value: str) -> None:
        """Set one header of a raw answer; without effect on a :predict answer."""
        self._response_header[key.lower()] = value

    def get_response_headers(self) -> dict[str, str]:
        """Return the response headers set so far."""
        return self._response_header

    def get_response_header(self, key: str) -> str | None:
        """Return one response header."""
        return self._response_header.get(key.lower())


class Context:
    """What TorchServe gives to `initialize` and `handle`, with its attribute names.

    Attributes:
        model_name: The archive's.
        manifest: The archive's MANIFEST.json.
        system_properties: model_dir, gpu_id, batch_size and TorchServe's constants.
        model_yaml_config: The archive's config file, {} without one.
        metrics: Takes custom metrics.
        request_ids: The id of each request of the current call, by its index.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # TorchServe's, and handlers' tests call it
        self,
        model_name: str,
        model_dir: str,
        manifest: dict[str, Any],
        batch_size: int,
        gpu: int | None,
        mms_version: str,
        limit_max_image_pixels: bool = True,  # noqa: FBT001, FBT002
        metrics: Metrics | None = None,
        model_yaml_config: dict[str, Any] | None = None,
    ) -> None:
        self.model_name = model_name
        self.manifest = manifest
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": "MMS",
            "server_version": mms_version,
            "limit_max_image_pixels": limit_max_image_pixels,
        }
        self.model_yaml_config = model_yaml_config or {}
        self.metrics = metrics or Metrics(model_name)
        self.request_ids: dict[int, str] | None = None
        self.request_processor: list[RequestProcessor] = []
        self.stopping_criteria = None
        self.explain = False
        self._emit: Callable[[object], None] | None = None

    def begin_call(self, request_ids: list[str]) -> None:
        """Forget the last call; this one holds these requests."""
        self.request_ids = dict(enumerate(request_ids))
        self.request_processor = [RequestProcessor() for _ in request_ids]
        self.metrics.request_ids = self.request_ids
        self.explain = False
        self._emit = None

    def begin_lone_call(
        self,
        request_id: str,
        headers: Mapping[str, str],
        emit: Callable[[object], None] | None,
    ) -> None:
        """Forget the last call; this one holds one request, of any kind.

        Args:
            request_id: Its id.
            headers: Its headers, names in lower case.
            emit: Takes what the handler answers before it returns, None where nobody
                could read it.
        """
        self.begin_call([request_id])
        self.request_processor = [RequestProcessor(headers)]
        self.explain = headers.get("explain") == "True"
        self._emit = emit

    def send_intermediate(self, result: object) -> None:
        """Send one piece of the answer; `ts.handler_utils.utils` calls it.

        Raises:
            HandlerError: The request is none that is answered in pieces.
        """
        if self._emit is None:
            raise HandlerError(
                "the handler answers in pieces: ask with streamRawPredict or rawPredict"
            )
        self._emit(result)

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return the id of one request of the call."""
        return None if self.request_ids is None else self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """Return one header of one request of the call."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """Return the headers of one request of the call."""
        return self.request_processor[idx].get_request_properties()

    def get_sequence_id(self, idx: int) -> str:
        """Return "": sequences do not exist here."""
        del idx
        return ""

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the type of a raw answer; a :predict answer stays JSON."""
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        """Return the content type set for one request."""
        return self.get_response_headers(idx).get("content-type")

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set one response header of one request."""
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """Return the response headers of one request."""
        return self.request_processor[idx].get_response_headers()

    def get_response_status(self, idx: int) -> tuple[int, str]:
        """Return the HTTP status of one request, and its phrase."""
        processor = self.request_processor[idx]
        return (
            processor.get_response_status_code(),
            processor.get_response_status_phrase(),
        )

    def set_response_status(
        self, code: int = 200, phrase: str = "", idx: int = 0
    ) -> None:
        """Set the HTTP status of one request; 400 and above fail a :predict."""
        if idx < len(self.request_processor):
            self.request_processor[idx].report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the HTTP status of every request of the call."""
        for processor in self.request_processor:
            processor.report_status(code, phrase)
