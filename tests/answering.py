"""A server that answers over HTTP what a test says."""

import contextlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

# From a method and a path with its query, decoded, to a document; None for 404.
Answer = Callable[[str, str], dict[str, Any] | None]


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Yield the URL of a server with these answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            found = answer(self.command, urllib.parse.unquote_plus(self.path))
            missing = {"error": {"code": 404, "status": "NOT_FOUND", "message": "no"}}
            text = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            # Who was interrupted is gone.
            with contextlib.suppress(OSError):
                self.wfile.write(text)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815  # the base class's names

        def log_message(self, *args: object) -> None:
            del args

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
