"""What files are kept in and read from: Homeport's object store, and nginx."""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import processes

PARENT = "projects/bench/locations/us-central1"
BUCKET = "bench"
IMAGE = "registry.example.com/team/model:3"
DIVIDED_S = 120.0

_NGINX = """
daemon off;
{user}
pid {home}/pid;
error_log {home}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location = /storage/v1/b/bench {{ default_type application/json; return 200 "{{}}"; }}
    location / {{
      root {home};
      try_files /file =404;
      add_header x-goog-hash "{hashes}";
    }}
  }}
}}
"""  # noqa: E501  # a line of nginx's


@dataclasses.dataclass(slots=True)
class Homeport:
    """Homeport at its defaults, but that it checks no archive.

    Attributes:
        home: Directory of its own.
    """

    home: pathlib.Path
    url: str = ""
    _server: processes.Server | None = None

    def start(self) -> None:
        """Start the server and return once it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        [port] = processes.free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._server = processes.start(
            [
                str(pathlib.Path(sys.executable).parent / "homeport"),
                *("serve", "--port", str(port), "--check-policy", "none"),
                *("--data-dir", str(self.home / "data"), "--no-access-log"),
            ],
            self.home,
        )
        self._server.wait_until_ready(f"{self.url}/readyz")

    def restart(self) -> None:
        """Start anew, without the bytes that nothing needs."""
        self.end()
        self.start()

    def peak_bytes(self) -> int:
        """Return the most memory that the server has had."""
        if self._server is None:
            raise RuntimeError("no server has been started")
        status = pathlib.Path(f"/proc/{self._server.popen.pid}/status").read_text()
        [line] = [one for one in status.splitlines() if one.startswith("VmHWM:")]
        return int(line.split()[1]) << 10

    def stored_bytes(self) -> int:
        """Return how much its blobs take."""
        return sum(path.stat().st_size for path in self._files())

    def blobs(self) -> set[str]:
        """Return the names of its blobs."""
        return {path.name for path in self._files()}

    def wait_divided(self, archive: pathlib.Path) -> None:
        """Return when an archive's blob has given way to its pieces.

        Raises:
            RuntimeError: It is still there.
        """
        with archive.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest()
        deadline = time.monotonic() + DIVIDED_S
        while whole in self.blobs():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{archive.name} is whole after {DIVIDED_S:.0f} s")
            time.sleep(0.2)

    def create_bucket(self) -> None:
        """Create the bucket."""
        self._post("/storage/v1/b?project=bench", {"name": BUCKET})

    def hashes(self, name: str) -> str:
        """Return the checksums of an object, as its header tells them."""
        found = processes.request("GET", f"{self._object(name)}")
        return f"crc32c={found['crc32c']},md5={found['md5Hash']}"

    def delete(self, name: str) -> None:
        """Delete an object."""
        processes.request("DELETE", self._object(name))

    def register(self, name: str) -> None:
        """Register an object as a new model, and return when that has ended.

        Raises:
            RuntimeError: It failed.
        """
        model = {
            "displayName": name,
            "artifactUri": f"gs://{BUCKET}/{name}",
            "containerSpec": {"imageUri": IMAGE},
        }
        operation = self._post(f"/v1/{PARENT}/models:upload", {"model": model})
        while not operation.get("done"):
            operation = processes.request("GET", f"{self.url}/v1/{operation['name']}")
        if "error" in operation:
            raise RuntimeError(f"registering {name}: {operation['error']}")

    def end(self) -> None:
        """End the server, also when never started."""
        if self._server is not None:
            self._server.end()

    def _files(self) -> list[pathlib.Path]:
        blobs = self.home / "data" / "blobs"
        return [path for path in blobs.rglob("*") if path.is_file()]

    def _object(self, name: str) -> str:
        quoted = urllib.parse.quote(name, safe="")
        return f"{self.url}/storage/v1/b/{BUCKET}/o/{quoted}"

    def _post(self, path: str, document: processes.Json) -> processes.Json:
        body = json.dumps(document).encode()
        return processes.request(
            "POST", self.url + path, body, content_type="application/json"
        )


@dataclasses.dataclass(slots=True)
class Nginx:
    """nginx that answers one file from the disk to whatever is asked for.

    Attributes:
        home: Directory of its own.
    """

    home: pathlib.Path
    url: str = ""
    _server: processes.Server | None = None

    def serve(self, file: pathlib.Path, hashes: str) -> None:
        """Serve a file, with the header by which clients check it."""
        self.end()
        self.home.mkdir(parents=True, exist_ok=True)
        link = self.home / "file"
        link.unlink(missing_ok=True)
        link.hardlink_to(file)
        [port] = processes.free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        user = "user root;" if pathlib.Path("/root").owner() == _account() else ""
        configuration = self.home / "nginx.conf"
        configuration.write_text(
            _NGINX.format(home=self.home, port=port, hashes=hashes, user=user)
        )
        self._server = processes.start(
            [executable(), "-c", str(configuration)], self.home
        )
        self._server.wait_until_ready(f"{self.url}/storage/v1/b/{BUCKET}")

    def end(self) -> None:
        """End the server, also when never started."""
        if self._server is not None:
            self._server.end()


def executable() -> str:
    """Return nginx, installed with apt-get if it is missing.

    Raises:
        RuntimeError: It is missing, and cannot be installed.
    """
    for attempt in ("", "update", "install"):
        found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if found:
            return found
        words = {"update": ["update"], "install": ["install", "-y", "nginx-light"]}
        if attempt:
            command = ["apt-get", "-q", *words[attempt]]
            subprocess.run(command, check=False, capture_output=True)
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise RuntimeError("nginx is missing: install it, then run this again")
    return found


def _account() -> str:
    return pathlib.Path("/proc/self").owner()
