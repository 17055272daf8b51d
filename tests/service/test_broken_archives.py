"""An archive that cannot be served is refused with what is wrong and what to do."""

import io
import json
import pathlib
import re
import urllib.parse
import zipfile
from collections.abc import Callable

import pytest

from liveness import is_running
from refusals import check_failure
from servers import PARENT, Server, wait_until

pytestmark = pytest.mark.service
MANIFEST = json.dumps(
    {
        "runtime": "python",
        "model": {"modelName": "m", "modelVersion": "1", "handler": "handler.py"},
    }
).encode()
HANDLER = b"def handle(data, context):\n    return data\n"


def zipped(*members: tuple[str, bytes], deflated: bool = False) -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def mar(*members: tuple[str, bytes], deflated: bool = False) -> bytes:
    own = (("MAR-INF/MANIFEST.json", MANIFEST), ("handler.py", HANDLER))
    return zipped(*own, *members, deflated=deflated)


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        pytest.param(
            {"model.mar": b"not a zip at all"}, 3, ["zip", "pack"], id="not a zip"
        ),
        pytest.param({"model.mar": b""}, 3, ["is empty", "again"], id="empty"),
        pytest.param({"model.mar": mar()[:-30]}, 3, ["archive"], id="cut off"),
        pytest.param(
            {"model.mar": zipped(("handler.py", HANDLER))},
            3,
            ["MANIFEST.json", "homeport pack"],
            id="no manifest",
        ),
        pytest.param(
            {"model.mar": zipped(("MAR-INF/MANIFEST.json", MANIFEST))},
            3,
            ["handler.py", "not in the archive"],
            id="no handler file",
        ),
        pytest.param(
            {"model.mar": mar(("../escaped.py", b""))},
            3,
            ["'../escaped.py'", "outside the archive"],
            id="escapes",
        ),
        pytest.param(
            {"model.mar": mar(("zeros.bin", bytes(2 << 20)), deflated=True)},
            3,
            ["zeros.bin", "2097152 bytes", "uncompressed"],
            id="bomb",
        ),
        pytest.param(
            {"readme.txt": b"hello", "weights.pt": b"PK"},
            9,
            ["no .mar archive", "readme.txt", "homeport pack"],
            id="no archive",
        ),
        pytest.param(
            {"a.mar": mar(), "b.mar": mar()},
            9,
            ["more than one", "a.mar", "b.mar", "folder"],
            id="two archives",
        ),
        pytest.param({}, 5, ["nothing is stored at gs://"], id="nothing"),
    ],
)
def test_what_is_no_archive_becomes_no_version(
    shared_server: Server,
    request: pytest.FixtureRequest,
    files: dict[str, bytes],
    code: int,
    words: list[str],
) -> None:
    name = urllib.parse.quote(request.node.callspec.id, safe="").replace("%20", "-")
    shared_server.call("POST", "/storage/v1/b?project=p", {"name": "bad-models"})
    for path, content in files.items():
        upload = "/upload/storage/v1/b/bad-models/o?uploadType=media"
        shared_server.call("POST", f"{upload}&name={name}/{path}", content)
    model = {"displayName": name, "artifactUri": f"gs://bad-models/{name}"}

    reply = shared_server.call("POST", f"/v1/{PARENT}/models:upload", {"model": model})

    assert reply[0] == 200, reply
    check_failure(shared_server, shared_server.wait(reply[1]), code, *words)
    wanted = urllib.parse.quote(f'display_name="{name}"')
    assert shared_server.call("GET", f"/v1/{PARENT}/models?filter={wanted}") == (
        200,
        {},
    )


# Handlers that do not load


@pytest.fixture
def hand_made(tmp_path: pathlib.Path) -> Callable[[str], pathlib.Path]:
    """Return a function that makes an archive nobody looked at before."""

    def make(source: str) -> pathlib.Path:
        path = tmp_path / "model.mar"
        manifest = ("MAR-INF/MANIFEST.json", MANIFEST)
        path.write_bytes(zipped(manifest, ("handler.py", source.encode())))
        return path

    return make


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param(
            "def handle(data, context)\n    return data\n",
            ["handler.py", "SyntaxError", "Correct the code"],
            id="syntax error",
        ),
        pytest.param(
            "import no_such_package\n\ndef handle(data, context): return data\n",
            [
                "handler.py line 1",
                "No module named 'no_such_package'",
                "install it where Homeport runs",
                "Traceback",
            ],
            id="missing package",
        ),
        pytest.param(
            "def predict(data): return data\n",
            ["neither a function handle", "subclass of BaseHandler"],
            id="no entry point",
        ),
        pytest.param(
            "import os\n\nclass Handler:\n    def initialize(self, context):\n"
            "        print('giving up', flush=True)\n        os._exit(3)\n\n"
            "    def handle(self, data, context): return data\n",
            ["exited with code 3", "giving up"],
            id="exits",
        ),
        pytest.param(
            "import os\n\nclass Handler:\n    def initialize(self, context):\n"
            "        os._exit(3)\n\n"
            "    def handle(self, data, context): return data\n",
            ["exited with code 3", "it printed nothing"],
            id="exits without a word",
        ),
        pytest.param(
            "class Handler:\n    def initialize(self, context):\n"
            "        open('missing.txt')\n\n"
            "    def handle(self, data, context): return data\n",
            ["handler.py line 3", "missing.txt", "--extra-files"],
            id="missing file",
        ),
    ],
)
def test_a_handler_that_does_not_load_is_explained(
    shared_server: Server,
    hand_made: Callable[[str], pathlib.Path],
    source: str,
    words: list[str],
) -> None:
    endpoint, operation = shared_server.deploy(hand_made(source))

    assert operation["error"]["code"] in {9, 14}
    check_failure(shared_server, operation, operation["error"]["code"], *words)
    left = shared_server.call("GET", f"/v1/{endpoint}")[1]
    assert left.get("deployedModels", []) == []
    assert shared_server.call("GET", "/readyz")[0] == 200


STARTS_A_PROCESS_AND_FAILS = """
import os
import pathlib
import subprocess


class Handler:
    def initialize(self, context):
        child = subprocess.Popen(["sleep", "3600"])
        pathlib.Path(os.environ["TOLD"]).write_text(f"{os.getpid()} {child.pid}")
        for number in range(1, 121):
            print(f"line {number:03}", flush=True)
        raise FileNotFoundError(2, "No such file", "vocabulary.txt")

    def handle(self, data, context):
        return data
"""


def test_a_failed_deployment_tells_all_leaves_nothing_and_the_traffic_as_it_was(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    server, told = shared_server, shared_server.shared / "pids"
    good = "def handle(data, context):\n    return data and ['old'] * len(data)\n"
    endpoint, first = server.deploy(archived(good, "good"))
    old = first["response"]["deployedModel"]["id"]
    variables = [{"name": "TOLD", "value": str(told)}]
    registered = server.register(
        archived(STARTS_A_PROCESS_AND_FAILS, "bad"), containerSpec={"env": variables}
    )
    before = server.call("GET", f"/v1/{endpoint}")[1]
    model = registered["response"]["model"]

    operation = server.begin_deploy(endpoint, model, {"0": 90, old: 10})
    answers = []
    while not operation.get("done"):
        answers += server.ask(endpoint, 1)
        operation = server.call("GET", f"/v1/{operation['name']}")[1]

    stage = "failed at STARTING_MODEL_SERVER: the model did not load"
    words = (stage, "handler.py line 13", "Pack the file with --extra-files")
    message = check_failure(server, operation, 9, *words)
    lines = re.findall(r"line \d{3}$", message, re.MULTILINE)
    assert (len(message.splitlines()) > 100, lines[-1]) == (True, "line 120")
    assert "line 010" not in lines
    assert operation["metadata"]["deploymentStage"] == "FAILED_TO_DEPLOY"
    assert set(answers) == {"old"}
    after = server.call("GET", f"/v1/{endpoint}")[1]
    assert after["trafficSplit"] == before["trafficSplit"] == {old: 100}
    assert after["deployedModels"] == before["deployedModels"]
    for pid in map(int, told.read_text().split()):
        wait_until(lambda pid=pid: not is_running(pid))  # type: ignore[misc]


def test_no_error_repeats_an_environment_secret(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    source = (
        "import os\n\nclass Handler:\n    def initialize(self, context):\n"
        "        token = os.environ['API_TOKEN']\n"
        "        print('connecting with', token)\n"
        "        raise ValueError(f'{token} was refused')\n\n"
        "    def handle(self, data, context): return data\n"
    )
    secret = "hunter2-hunter2"  # noqa: S105  # that of the test
    multiline = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"
    variables = [
        {"name": "API_TOKEN", "value": f"{secret}\n{multiline}"},
    ]

    _, operation = shared_server.deploy(
        archived(source), containerSpec={"env": variables}
    )

    words = ("handler.py line 7 raised ValueError", "connecting with [API_TOKEN]")
    message = check_failure(shared_server, operation, 9, *words, "Traceback")
    for line in (secret, *multiline.splitlines()):
        assert line not in message
        assert line not in shared_server.log()
