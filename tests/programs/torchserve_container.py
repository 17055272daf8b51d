"""A stand-in for an image of TorchServe: what it does for one archive, no more.

It serves the archive of AIP_STORAGE_URI under MODEL_NAME, at TorchServe's routes and
with its `service_envelope=json`. It needs nothing but torch.
"""

import json
import os
import pathlib
import sys
import tempfile
import types
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROUTE = f"/predictions/{os.environ['MODEL_NAME']}"
PORT = 8080


class BaseHandler:
    """What authors extend."""

    def __init__(self) -> None:
        self.initialized = False

    def inference(self, data: Any) -> Any:
        return self.model(data)  # type: ignore[attr-defined]  # the author sets it

    def handle(self, data: Any, context: Any) -> Any:
        del context
        return self.postprocess(  # type: ignore[attr-defined]  # the author's
            self.inference(self.preprocess(data))  # type: ignore[attr-defined]  # the same
        )


def load() -> Any:
    """Return the author's handler, ready."""
    base = types.ModuleType("ts.torch_handler.base_handler")
    base.BaseHandler = BaseHandler  # type: ignore[attr-defined]  # made here
    for name in ("ts", "ts.torch_handler"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules[base.__name__] = base
    folder = pathlib.Path(tempfile.mkdtemp())
    (archive,) = pathlib.Path(os.environ["AIP_STORAGE_URI"]).glob("*.mar")
    assert archive.stem == os.environ["MODEL_NAME"]
    with zipfile.ZipFile(archive) as members:
        members.extractall(folder)
    manifest = json.loads((folder / "MAR-INF/MANIFEST.json").read_text())["model"]
    print("requirements:", (folder / manifest["requirementsFile"]).read_text())
    sys.path.insert(0, str(folder))
    module = __import__(pathlib.Path(manifest["handler"]).stem)
    (cls,) = (
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, BaseHandler) and one != BaseHandler
    )
    handler: Any = cls()
    context = types.SimpleNamespace(system_properties={"model_dir": str(folder)})
    handler.initialize(context)
    return handler


HANDLER = load()


class Requests(BaseHTTPRequestHandler):
    """Answers both routes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply(200 if self.path == "/ping" else 404, {"status": "Healthy"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != ROUTE:
            self.reply(404, {"message": "Model not found"})
            return
        self.reply(200, {"predictions": HANDLER.handle(body["instances"], None)})

    def reply(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing of each request."""


ThreadingHTTPServer(("0.0.0.0", PORT), Requests).serve_forever()  # noqa: S104
