"""Safe from the first server: who may call it, where it listens, what it tells."""

import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from homeport.packing import samples
from servers import PARENT, Server, wait_until

pytestmark = pytest.mark.service
ECHO = "def handle(data, context):\n    return data\n"
UNKNOWN = f"/v1/{PARENT}/endpoints/1234567890:predict"
PATHS = [
    pytest.param(f"/v1/{PARENT}/endpoints", id="control"),
    pytest.param(UNKNOWN, id="predict"),
    pytest.param("/storage/v1/b?project=p", id="storage"),
    pytest.param("/upload/storage/v1/b/models/o?name=x", id="upload"),
]


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    return start_server("--allow-host", "models.example.com")


def check_forbidden(reply: tuple[int, Any], *words: str) -> None:
    status, document = reply
    assert status == 403, document
    error = document["error"]
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert [word for word in words if word not in error["message"]] == []


# Who may call


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_another_origin_may_not_post(server: Server, path: str) -> None:
    headers = {"origin": "https://evil.example", "content-type": "text/plain"}

    reply = server.call("POST", path, {"name": "stolen-by-page"}, headers)

    check_forbidden(reply, "'https://evil.example'", "--allow-host")


@pytest.mark.parametrize("path", PATHS)
def test_a_request_that_the_browser_calls_cross_site_is_refused(
    server: Server, path: str
) -> None:
    headers = {"sec-fetch-site": "cross-site"}

    check_forbidden(server.call("POST", path, {}, headers), "another site")


@pytest.mark.parametrize("path", [*PATHS, pytest.param("/metrics", id="metrics")])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_rebound_name_reaches_nothing(server: Server, method: str, path: str) -> None:
    headers = {"host": "rebound.example:8080"}

    check_forbidden(
        server.call(method, path, None, headers),
        "'rebound.example:8080'",
        "--allow-host",
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no browser"),
        pytest.param({"host": "localhost:8080"}, id="localhost"),
        pytest.param({"host": "models.example.com"}, id="allowed"),
        pytest.param(
            {"host": "models.example.com", "origin": "https://models.example.com"},
            id="a page of the allowed host",
        ),
        pytest.param({"sec-fetch-site": "same-origin"}, id="a page of ours"),
    ],
)
def test_a_configured_name_is_answered(server: Server, headers: dict[str, str]) -> None:
    assert server.call("GET", "/healthz", headers=headers) == (200, {"status": "ok"})


# Where it listens


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # refused
def test_it_does_not_listen_beyond_loopback_by_itself(
    tmp_path: pathlib.Path, host: str
) -> None:
    ended = homeport(
        "serve", "--host", host, "--port", "0", "--data-dir", str(tmp_path / "data")
    )

    assert ended.returncode == 1
    check_one_line(ended.stderr, f"listening on {host}", "--insecure")
    assert not (tmp_path / "data").exists()


def test_said_to_be_insecure_it_listens_everywhere(
    start_server: Callable[..., Server],
) -> None:
    server = start_server("--host", "0.0.0.0", "--insecure")  # noqa: S104
    server.url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104

    assert server.call("GET", "/healthz") == (200, {"status": "ok"})
    check_forbidden(server.call("GET", "/healthz", headers={"host": "0.0.0.0"}))  # noqa: S104


def test_a_port_that_is_taken_is_named(server: Server, tmp_path: pathlib.Path) -> None:
    port = server.url.rpartition(":")[2]

    ended = homeport("serve", "--port", port, "--data-dir", str(tmp_path / "data"))

    assert ended.returncode == 1
    check_one_line(ended.stderr, f"port {port}", "--port")


# Where it keeps things


def test_a_data_directory_that_is_open_to_others_is_closed(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    server.stop()
    server.data_dir.chmod(0o755)

    server.start()

    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    assert "open to other accounts (mode 0755): closed" in server.log()
    wrong = [path for path in server.data_dir.rglob("*") if path.stat().st_mode & 0o077]
    assert wrong == []


def test_a_folder_of_something_else_is_neither_closed_nor_used(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "letter.txt").write_text("for everybody")
    tmp_path.chmod(0o755)

    ended = homeport("serve", "--port", "0", "--data-dir", str(tmp_path))

    assert ended.returncode == 1
    check_one_line(ended.stderr, "other files", "mode 0755", "chmod 700")
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("where", ["file/data", "/proc/homeport-data"])
def test_an_impossible_data_directory_is_named(
    tmp_path: pathlib.Path, where: str
) -> None:
    (tmp_path / "file").write_text("in the way")

    ended = homeport("serve", "--port", "0", "--data-dir", where, cwd=tmp_path)

    assert ended.returncode == 1
    check_one_line(ended.stderr, where, "another --data-dir")


# What it tells


def test_readiness_waits_for_every_wanted_replica(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    source = (
        "import os\n\ndef handle(data, context):\n"
        "    if data:\n        os._exit(1)\n"
    )  # fmt: skip
    endpoint, operation = server.deploy(archived(source))
    deployed_id = operation["response"]["deployedModel"]["id"]
    assert server.call("GET", "/readyz") == (200, {"status": "ready"})

    server.predict(endpoint, {"instances": [1]})
    status, document = server.call("GET", "/readyz")
    server.wait_ready()

    assert status == 503
    assert set(document["deployedModels"]) == {deployed_id}
    assert server.call("GET", "/healthz") == (200, {"status": "ok"})


def test_metrics_count_and_the_access_log_notes_each_request(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    endpoint, _ = server.deploy(archived(ECHO))
    endpoint_id = endpoint.rpartition("/")[2]

    server.ask(endpoint, 1)
    server.ask(endpoint, 2)
    server.predict(endpoint, b"{")

    metrics = str(server.call("GET", "/metrics")[1])
    assert counted(metrics, endpoint_id, 200) == 2.0
    assert counted(metrics, endpoint_id, 400) == 1.0
    assert 'homeport_replicas_ready{deployed_model="' in metrics
    line = re.compile(
        rf"\S+Z? POST /v1/{re.escape(endpoint)}:predict 200 \d+B \d+\.\dms"
    )
    wait_until(lambda: len(line.findall(server.log())) == 2)


def counted(metrics: str, endpoint_id: str, status: int) -> float:
    for line in metrics.splitlines():
        if (
            line.startswith("homeport_prediction_requests_total{")
            and f'endpoint="{endpoint_id}"' in line
            and f'status="{status}"' in line
        ):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_a_hostile_path_cannot_write_into_the_log(server: Server) -> None:
    server.call("GET", "/%0d%0aforged%1b[31m")

    wait_until(lambda: "forged" in server.log())
    (line,) = [line for line in server.log().splitlines() if "forged" in line]
    assert "\\r\\nforged\\x1b" in line


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = [
        "torch",
        "numpy",
        "starlette",
        "sqlalchemy",
        "pydantic",
        "httpx",
        "uvicorn",
    ]
    code = (
        "import sys, time\n"
        "began = time.process_time()\n"
        "import homeport\n"
        "seconds = time.process_time() - began\n"
        f"print([name for name in {heavy} if name in sys.modules], seconds)\n"
    )

    ended = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    imported, _, seconds = ended.stdout.strip().rpartition(" ")
    assert imported == "[]"
    assert float(seconds) < 0.1


# The command line, end to end


def homeport(
    *arguments: str, stdin: str = "", cwd: pathlib.Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


def check_one_line(text: str, *words: str) -> None:
    (line,) = text.splitlines()
    assert [word for word in words if word not in line] == [], line


@pytest.fixture
def cli(server: Server, tmp_path: pathlib.Path) -> Callable[..., str]:
    """Return a function that runs a command against the server; returns its output."""

    def run(*arguments: str, stdin: str = "") -> str:
        ended = homeport(
            *arguments,
            "--url",
            server.url,
            "--project",
            "cli",
            stdin=stdin,
            cwd=tmp_path,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def test_from_a_handler_to_two_versions_that_share_traffic(
    server: Server, cli: Callable[..., str], tmp_path: pathlib.Path
) -> None:
    for number in (1, 2, 3):
        source = (
            f"print('handler {number} loads')\n\n"
            f"def handle(data, context):\n    return data and [{number}] * len(data)\n"
        )
        pack(tmp_path, source, number)
    shown = homeport("inspect", "v1/words.mar", cwd=tmp_path)

    first = cli(
        *("deploy", "v1/words.mar", "--env", "MODE=fast", "--label", "team=a"),
        *("--traffic", "20"),
    )
    second = cli("deploy", "v2/words.mar")
    third = cli("deploy", "v3/words.mar", "--traffic", "20")

    assert "handler.py" in shown.stdout
    assert re.search(r"^registered  \S+@1$", first, re.MULTILINE)
    assert re.search(r"^deployed    \S+ as \d+, 100 %$", first, re.MULTILINE)
    assert "curl -X POST http" in first
    assert f"homeport predict words --url {server.url} --project cli --json" in first
    assert re.search(r"^registered  \S+@2$", second, re.MULTILINE)
    assert re.search(r"^undeployed  \d+ \(version 1\)$", second, re.MULTILINE)
    assert re.search(r"^registered  \S+@3$", third, re.MULTILINE)
    assert "undeployed" not in third
    check_lists(cli)
    check_predictions(cli, tmp_path)
    assert "handler 2 loads" in cli("logs", "words")
    assert "handler 3 loads" in cli("logs", "words")
    check_the_way_back(cli)


def check_the_way_back(cli: Callable[..., str]) -> None:
    promoted = cli("traffic", "words", "v3=100", "v2=0")
    assert re.search(r"^serving     \d+ \(version 3\), 100 %$", promoted, re.MULTILINE)
    assert re.search(r"^serving     \d+ \(version 2\), 0 %$", promoted, re.MULTILINE)
    left = cli("undeploy", "words", "v3")
    assert re.search(r"^undeployed  \d+ \(version 3\)$", left, re.MULTILINE)
    assert re.search(r"^serving     \d+ \(version 2\), 100 %$", left, re.MULTILINE)
    assert json.loads(cli("predict", "words", "--json", "[1]"))["predictions"] == [2]
    assert re.search(
        r"^deleted     \S+@1$", cli("models", "delete-version", "words@1"), re.M
    )
    assert [
        line.split()[2] for line in cli("models", "list-version", "words").splitlines()
    ][1:] == ["2", "3"]
    ended = cli("endpoints", "delete", "words", "--force")
    assert re.search(r"^deleted     \S+/endpoints/\d+$", ended, re.MULTILINE)
    cli("models", "delete", "words")
    assert len(cli("models", "list").splitlines()) == 1
    assert len(cli("endpoints", "list").splitlines()) == 1


def test_a_deployment_that_fails_leaves_what_served_before(
    server: Server, tmp_path: pathlib.Path
) -> None:
    pack(tmp_path, "def handle(data, context):\n    return data\n", 1)
    pack(tmp_path, "def handle(data, context):\n    raise ValueError('no good')\n", 2)
    where = ("--url", server.url, "--project", "fails")

    alone = homeport(
        *("deploy", "v2/words.mar", "--endpoint", "other", *where), cwd=tmp_path
    )
    homeport("deploy", "v1/words.mar", *where, cwd=tmp_path)
    beside = homeport("deploy", "v2/words.mar", *where, cwd=tmp_path)
    known = homeport("deploy", "words@3", *where)

    assert (alone.returncode, beside.returncode, known.returncode) == (1, 1, 1)
    assert "registered, not deployed" not in known.stderr
    assert "removed again: " in alone.stderr
    assert "no good" in beside.stderr
    assert re.search(r"^registered, not deployed: \S+@3 ", beside.stderr, re.MULTILINE)
    assert re.search(r"^still serving: \d+ \(version 2\), 100 %$", beside.stderr, re.M)
    endpoints = homeport("endpoints", "list", *where).stdout.splitlines()[1:]
    assert [line.split()[1] for line in endpoints] == ["words"]
    versions = homeport("models", "list-version", "words", *where).stdout.splitlines()[
        1:
    ]
    assert ["default" in line for line in versions] == [False, True, False]


def pack(folder: pathlib.Path, source: str, number: int) -> None:
    (folder / "handler.py").write_text(source)
    packed = homeport(
        *("pack", "--model-name", "words", "--handler", "handler.py"),
        *("--export-path", f"v{number}"),
        cwd=folder,
    )
    assert packed.returncode == 0, packed.stderr


def check_lists(cli: Callable[..., str]) -> None:
    models = cli("models", "list").splitlines()
    assert len(models) == 2
    model_id = models[1].split()[0]
    versions = cli("models", "list-version", model_id).splitlines()[1:]
    assert [line.split()[2] for line in versions] == ["1", "2", "3"]
    # Version 3 is a canary: the plain name goes on meaning version 2.
    assert ["default" in line for line in versions] == [False, True, False]
    assert "team=a" in versions[0]
    endpoints = cli("endpoints", "list").splitlines()[1:]
    assert sorted(line.split(f"{model_id}@")[1].split()[:2] for line in endpoints) == [
        ["2", "80"],
        ["3", "20"],
    ]


def check_predictions(cli: Callable[..., str], folder: pathlib.Path) -> None:
    picture = folder / "picture.bin"
    picture.write_bytes(b"\x00\x01")
    request = folder / "request.json"
    request.write_text('{"instances": ["a", "b"]}')
    answers = [
        cli("predict", "words", "--json", '["a", "b"]'),
        cli("predict", "words", "--json", str(request)),
        cli("predict", "words", "--json", "-", stdin='["a", "b"]'),
        cli("predict", "words", "--file", str(picture), "--file", str(picture)),
        cli("predict", "words", "--json", "[1, 2]"),
    ]
    documents = [json.loads(answer) for answer in answers]
    # Five of a hundred at 80 to 20 are four and one.
    assert sorted(one["modelVersionId"] for one in documents) == [*"2222", "3"]
    for document in documents:
        assert document["predictions"] == [int(document["modelVersionId"])] * 2
        assert document["modelDisplayName"] == "words"


def test_a_file_is_sent_as_the_instance_that_a_check_predicts(
    server: Server, archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    picture = tmp_path / "picture.bin"
    picture.write_bytes(b"\x00\x01")
    source = (
        "def handle(data, context):\n"
        "    return [row['data'].hex() for row in data or []]\n"
    )
    endpoint, _ = server.deploy(archived(source))

    ended = homeport(
        *("predict", endpoint.rpartition("/")[2], "--file", str(picture)),
        *("--url", server.url, "--project", PARENT.split("/")[1]),
        cwd=tmp_path,
    )

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["predictions"] == ["0001"]
    (instance,) = samples.read(picture).request["instances"]
    assert instance == {"data": {"b64": "AAE="}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ["predict", "nobody", "--json", "[1]"],
            ["'nobody'", "homeport endpoints list"],
            id="unknown endpoint",
        ),
        pytest.param(["predict", "e", "--json", "[1"], ["not JSON"], id="bad JSON"),
        pytest.param(
            ["predict", "e", "--json", "none.json"],
            ["none.json", "readable file"],
            id="no file",
        ),
        pytest.param(["models", "list-version", "77"], ["77"], id="unknown model"),
        pytest.param(["models", "list", "--filter", "x ="], ["filter"], id="filter"),
        pytest.param(["deploy", "plain.mar"], ["zip"], id="not an archive"),
        pytest.param(
            ["predict", "e", "--json", "5"],
            ["--json 5", "list of instances"],
            id="a number",
        ),
        pytest.param(
            ["predict", "e", "--json", '"a"'], ["list of instances"], id="a string"
        ),
        pytest.param(
            ["predict", "e", "--json", "-"], ["the request is not JSON"], id="no input"
        ),
        pytest.param(
            ["predict", "e", "--file", "request.json"],
            ["--json request.json", "one instance"],
            id="a request as an instance",
        ),
        pytest.param(["undeploy", "nobody", "v1"], ["'nobody'"], id="undeploy nobody"),
        pytest.param(
            ["models", "delete-version", "none@2"], ["'none'"], id="delete none"
        ),
        pytest.param(["logs", "nobody"], ["'nobody'"], id="logs of nobody"),
    ],
)
def test_a_command_that_fails_says_why_in_one_line(
    server: Server, tmp_path: pathlib.Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "plain.mar").write_text("plain text, and no archive at all")
    (tmp_path / "request.json").write_text('{"instances": [1]}')

    ended = homeport(*arguments, "--url", server.url, cwd=tmp_path)

    assert ended.returncode == 1
    assert ended.stdout == ""
    check_one_line(ended.stderr, "Error: ", *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--env", "AIP_X=1"], "'AIP_X'", id="reserved variable"),
        pytest.param(["--env", "1X=1"], "'1X'", id="no name of a variable"),
        pytest.param(["--label", "Team=a"], "'Team'", id="label"),
        pytest.param(["--label", "team"], "KEY=VALUE", id="no value"),
    ],
)
def test_what_the_server_would_refuse_is_refused_before_the_upload(
    mlp_archive: pathlib.Path, arguments: list[str], words: str
) -> None:
    ended = homeport(
        "deploy", str(mlp_archive), *arguments, "--url", "http://127.0.0.1:9"
    )

    assert ended.returncode == 2
    assert words in ended.stderr


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_does_not_stand_before_loopback(
    server: Server, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = scheme + server.url.removeprefix("http://")

    ended = homeport("models", "list", "--url", url)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1", "http://a:b", "a:b"])
def test_an_address_of_no_server_is_named(url: str) -> None:
    ended = homeport("models", "list", "--url", url)

    assert ended.returncode == 1
    check_one_line(ended.stderr, "is no address of a server")


def test_without_a_server_a_command_says_how_to_start_one() -> None:
    ended = homeport("models", "list", "--url", "http://127.0.0.1:9")

    assert ended.returncode == 4
    check_one_line(ended.stderr, "http://127.0.0.1:9", "homeport serve", "--url")
