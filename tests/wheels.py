"""A package index of our own: tiny wheels, and a server that offers them."""

import base64
import contextlib
import functools
import hashlib
import http.server
import io
import pathlib
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from importlib.util import cache_from_source
from typing import Any


def make(
    folder: pathlib.Path,
    name: str,
    version: str,
    *,
    needs: Sequence[str] = (),
    tag: str = "py3-none-any",
    **more: str,
) -> pathlib.Path:
    """Write a wheel of one module, `<name>.py`, and return its path.

    Further words: `source` of the module, `python` for the versions it runs on,
    `bytecode` that comes with it, `common` for the text of `common.py`.
    """
    module = name.lower().replace("-", "_")
    described = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": more.get("source", f"VERSION = {version!r}\n"),
        f"{described}/METADATA": "\n".join(
            (
                "Metadata-Version: 2.1",
                f"Name: {name}",
                f"Version: {version}",
                f"Requires-Python: {more.get('python', '>=3.8')}",
                *(f"Requires-Dist: {need}" for need in needs),
                "",
            )
        ),
        f"{described}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n"
        ),
    }
    if "bytecode" in more:
        files[cache_from_source(f"{module}.py")] = more["bytecode"]
    if "common" in more:
        files["common.py"] = more["common"]
    record = "".join(_record(path, text) for path, text in files.items())
    files[f"{described}/RECORD"] = f"{record}{described}/RECORD,,\n"
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in files.items():
            wheel.writestr(zipfile.ZipInfo(member), text)
    return path


def make_source(folder: pathlib.Path, name: str, version: str) -> pathlib.Path:
    """Write a source distribution that builds itself, with no other package."""
    built = make(folder, name, version)
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
            'backend-path = ["."]\n'
        ),
        "backend.py": (
            "import base64, pathlib\n"
            "def build_wheel(directory, *_):\n"
            f"    wheel = pathlib.Path(directory, {built.name!r})\n"
            f"    wheel.write_bytes(base64.b64decode({_base64(built)!r}))\n"
            "    return wheel.name\n"
        ),
    }
    built.unlink()
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as source:
        for member, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{member}")
            entry.size = len(text)
            source.addfile(entry, io.BytesIO(text.encode()))
    return path


def _base64(path: pathlib.Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _record(path: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{path},sha256={shown},{len(text.encode())}\n"


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Index(http.server.SimpleHTTPRequestHandler):
    """`/simple/<name>/` lists the files of that name, with their hashes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self.path.startswith("/simple/"):
            return super().do_GET()
        name = self.path.removeprefix("/simple/").strip("/").replace("-", "_")
        found = sorted(pathlib.Path(self.directory).glob(f"{name}-*"))
        page = "".join(
            f'<a href="/{one.name}#sha256={_sha256(one)}">{one.name}</a>\n'
            for one in found
        ).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
        return None

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: pathlib.Path) -> Iterator[str]:
    """Yield the URL of an index that offers the wheels in `folder`."""
    handler = functools.partial(_Index, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Yield the URL of an index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/simple"
