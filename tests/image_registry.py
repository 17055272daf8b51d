"""A registry of images for tests: one image, over HTTP on loopback, to be pulled.

What docker and podman ask by the distribution specification, and nothing that pushes:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import contextlib
import dataclasses
import hashlib
import json
import platform
import re
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PATH = re.compile(r"/v2/own/[a-f0-9]+/(?:manifests|blobs)/(.+)")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclasses.dataclass
class Registry:
    """What a registry has and was asked.

    Attributes:
        image: The image's name, without a tag; no other registry's.
        digest: Of the image's manifest.
        asked: The paths of manifests and blobs that it gave.
    """

    image: str
    digest: str
    asked: list[str]


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _image(layer: bytes) -> dict[str, tuple[str, bytes]]:
    """Return what makes up an image of one layer, by the tag "1" and by digests."""
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    parts = {_CONFIG: json.dumps(config).encode(), _LAYER: layer}
    described, whole = (
        {"mediaType": type_, "digest": _digest(part), "size": len(part)}
        for type_, part in parts.items()
    )
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": described,
            "layers": [whole],
        }
    ).encode()
    by_digest = {
        _digest(part): ("application/octet-stream", part) for part in parts.values()
    }
    named = dict.fromkeys(("1", _digest(manifest)), (_MANIFEST, manifest))
    return by_digest | named


@contextlib.contextmanager
def serving(layer: bytes) -> Iterator[Registry]:
    """Yield a registry that has one image, with the tag "1" and of one layer.

    Args:
        layer: The tar of its file system.
    """
    parts = _image(layer)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(bodiless=True)

        def do_GET(self) -> None:
            self._answer(bodiless=False)

        def _answer(self, *, bodiless: bool) -> None:
            found = _PATH.fullmatch(self.path)
            status, type_, content = 200, "application/json", b"{}"
            if found and found[1] in parts:
                type_, content = parts[found[1]]
                asked.append(self.path)
            elif self.path != "/v2/":
                error = {"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}
                status, content = 404, json.dumps({"errors": [error]}).encode()
            self.send_response(status)
            self.send_header("Content-Type", type_)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", _digest(content))
            self.end_headers()
            self.wfile.write(b"" if bodiless else content)

        def log_message(self, *args: object) -> None:
            """Say nothing of each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        image = f"127.0.0.1:{server.server_port}/own/{secrets.token_hex(8)}"
        yield Registry(image, _digest(parts["1"][1]), asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
