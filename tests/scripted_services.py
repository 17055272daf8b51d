"""A service that answers by HTTP as it was told, and remembers what it was asked."""

import contextlib
import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any, final

Answer = tuple[int, dict[str, Any]]


@final
@dataclasses.dataclass
class Scripted:
    """What it answers, and was asked.

    Attributes:
        answers: By method and path; each once, the last for ever.
        asked: Methods and paths, in order.
        url: Its address.
    """

    answers: dict[str, list[Answer]]
    asked: list[str] = dataclasses.field(default_factory=list)
    url: str = ""

    def answer(self, call: str) -> Answer:
        self.asked.append(call)
        left = self.answers.get(call) or [(404, {"error": {"message": call}})]
        return left.pop(0) if len(left) > 1 else left[0]


@contextlib.contextmanager
def scripted(answers: dict[str, list[Answer]]) -> Iterator[Scripted]:
    """Yield a service of these answers, on a port of this machine."""
    service = Scripted(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            # Google's clients ask for some operations below /ui.
            path = self.path.partition("?")[0].replace("/ui/", "/v1/", 1)
            status, body = service.answer(f"{self.command} {path}")
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET  # noqa: N815  # their names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
