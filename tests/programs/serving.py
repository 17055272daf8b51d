"""A serving program by Vertex AI's contract, as authors write it and as nobody should.

How it starts is said by the variable START, what it answers by each instance's "do".
It needs nothing but Python, so that it runs in the smallest image.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

START = os.environ.get("START", "")
ME = secrets.token_hex(8)
SICK: list[bool] = []
PORT = int(os.environ["AIP_HTTP_PORT"])


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def compute(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "computed"


def fill(mebibytes: int) -> int:
    # Each page is written: what is only asked for takes no memory.
    return len(b"x" * (mebibytes << 20))


def read(name: str) -> str:
    with open(os.environ["AIP_STORAGE_URI"] + "/" + name) as file:  # noqa: PTH123
        return file.read()


def write(name: str) -> str:
    try:
        with open(os.environ["AIP_STORAGE_URI"] + "/" + name, "w") as file:  # noqa: PTH123
            file.write("changed")
    except OSError as error:
        return type(error).__name__
    return "written"


ACTS: dict[str, Callable[[Any], Any]] = {
    "variable": os.environ.get,
    "sleep": sleep,
    "compute": compute,
    "fill": fill,
    "read": read,
    "write": write,
    "print": lambda words: print(words, flush=True),
    "pid": lambda _: os.getpid(),
    "program": lambda _: ME,
    "sicken": lambda looks: SICK.extend([True] * looks),
    "die": lambda _: os._exit(3),
}


def answer(instance: Any) -> Any:
    """Return the prediction for one instance: twice a number, or what an act gives."""
    if isinstance(instance, dict):
        ((act, value),) = instance.items()
        return ACTS[act](value)
    return 2 * instance


class Handler(BaseHTTPRequestHandler):
    """Answers both routes."""

    protocol_version = "HTTP/1.0" if START == "old" else "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path != os.environ["AIP_HEALTH_ROUTE"]:
            self.reply(404, b"no such page")
        elif START == "unwell" or (SICK and SICK.pop()):
            self.reply(503, b"not yet")
        else:
            self.reply(200, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-type"] != "application/json":
            self.reply(202, body[::-1], "application/x-backwards")
            return
        instances = json.loads(body)["instances"]
        said = instances[0].get("answer") if isinstance(instances[0], dict) else None
        if said is not None:
            self.reply(said["status"], said["body"].encode(), "text/plain")
            return
        if isinstance(instances[0], dict) and "zeros" in instances[0]:
            self.reply(200, b"0" * instances[0]["zeros"])
            return
        if isinstance(instances[0], dict) and "bytes" in instances[0]:
            self.wfile.write(instances[0]["bytes"].encode())
            self.close_connection = True
            return
        predictions = [answer(one) for one in instances]
        self.reply(200, json.dumps({"predictions": predictions}).encode())

    def reply(self, status: int, body: bytes, type_: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", type_)
        if START != "old":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing of each request."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main() -> None:
    print("starting", flush=True)
    if START == "leave at once":
        print("no weights here", file=sys.stderr, flush=True)
        sys.exit(3)
    if START == "deaf":
        time.sleep(3600)
    port = PORT + 1 if START == "elsewhere" else PORT
    Server(("0.0.0.0", port), Handler).serve_forever()  # noqa: S104


main()
