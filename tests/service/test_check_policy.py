"""The server itself proves archives when they are registered, as its policy says."""

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import terminals
import wheels
from homeport.archive.golden import Golden
from liveness import is_running
from rooms import archive
from servers import PARENT, Server, running, wait_until

pytestmark = pytest.mark.service
ECHO = "def handle(data, context):\n    return data\n"
BROKEN = 'raise RuntimeError("no weights today")\n\n\n' + ECHO
# Tells its process id, then hangs.
HANGS = """
import os
import time


class Handler:
    def initialize(self, context):
        with open(os.environ["TOLD"] + ".partial", "w") as file:
            file.write(str(os.getpid()))
        os.rename(os.environ["TOLD"] + ".partial", os.environ["TOLD"])
        time.sleep(3600)

    def handle(self, data, context):
        return data
"""
Archived = Callable[..., pathlib.Path]


def _server(folder: pathlib.Path, policy: str, *options: str) -> Server:
    return Server(folder / "data", ("--no-access-log", *options), policy)


@pytest.fixture(scope="module")
def warning(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with the default policy."""
    with running(_server(tmp_path_factory.mktemp("server"), "warn")) as started:
        yield started


@pytest.fixture(scope="module")
def requiring(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that registers nothing unproven."""
    with running(_server(tmp_path_factory.mktemp("server"), "require")) as started:
        yield started


@pytest.fixture
def packages(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pathlib.Path]:
    """The folder of the only package index that there is for servers."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with wheels.served(folder) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        yield folder


def _needing(folder: pathlib.Path, requirements: str) -> pathlib.Path:
    """Write an archive whose handler answers with its package's version."""
    manifest = {
        "runtime": "python",
        "model": {
            "modelName": "m",
            "modelVersion": "1.0",
            "handler": "handler.py",
            "requirementsFile": "requirements.txt",
        },
    }
    path = folder / "needing.mar"
    path.write_bytes(
        archive(
            b"import greeter\n\n\ndef handle(data, context):\n"
            b"    return [greeter.VERSION for _ in data or ()]\n",
            manifest=json.dumps(manifest).encode(),
            files={"requirements.txt": requirements.encode()},
        )
    )
    return path


def _check(server: Server, operation: dict[str, Any]) -> dict[str, Any]:
    """Return the stored check of what an upload made."""
    made = operation["response"]
    path = f"{made['model']}@{made['modelVersionId']}"
    status, found = server.call("GET", f"/homeport/v1/{path}/check")
    assert status == 200, found
    assert found["model"] == path
    return dict(found)


def _verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in found["report"]["stages"]}


def _count(server: Server, display_name: str) -> int:
    wanted = f"display_name%3D{display_name}"
    _, listed = server.call("GET", f"/v1/{PARENT}/models?filter={wanted}")
    return len(listed.get("models", []))


def _partial(operation: dict[str, Any]) -> list[dict[str, Any]]:
    generic = operation["metadata"]["genericMetadata"]
    return list(generic.get("partialFailures", []))


def _env(**variables: str) -> dict[str, Any]:
    env = [{"name": name, "value": variables[name]} for name in variables]
    return {"containerSpec": {"env": env}}


def _hanging_pid(told: pathlib.Path) -> int:
    wait_until(told.exists)
    return int(told.read_text())


def _begin_upload(server: Server, archive: pathlib.Path, **model: Any) -> Any:
    """Ask for a registration; return its operation as it was answered."""
    uri = server.upload_archive(archive, f"{archive.stem}-{time.monotonic_ns()}")
    status, operation = server.call(
        "POST",
        f"/v1/{PARENT}/models:upload",
        {"model": {"displayName": "hanging", "artifactUri": uri, **model}},
    )
    assert status == 200, operation
    return operation


def _homeport(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "HOMEPORT_URL": server.url, "HOMEPORT_PROJECT": "p"},
    )


def test_a_good_archive_is_registered_with_the_servers_own_report(
    requiring: Server, archived: Archived
) -> None:
    made = archived(ECHO, golden=Golden({"instances": [1, 2]}))

    operation = requiring.register(made)

    found = _check(requiring, operation)
    assert found["state"] == "passed"
    assert found["detail"] == "it loads and predicts its sample"
    assert found["report"]["passed"] is True
    assert _verdicts(found)["predict"] == "passed"
    assert found["time"].endswith("Z")


def test_a_model_of_torch_passes(requiring: Server, mlp_archive: pathlib.Path) -> None:
    found = _check(requiring, requiring.register(mlp_archive))

    assert found["state"] == "passed"
    assert found["detail"] == "it loads; the archive has no sample to predict"


def test_where_a_check_is_required_its_failure_leaves_no_version(
    requiring: Server, archived: Archived
) -> None:
    operation = requiring.register(archived(BROKEN), displayName="broken")

    assert operation["error"]["code"] == 9
    told = operation["error"]["message"]
    assert told.startswith("not registered, as the check failed at 'import handler': ")
    assert "handler.py line 1 raised RuntimeError: no weights today" in told
    assert 'raise RuntimeError("no weights today")' in told
    assert "Correct the code and pack the archive again." in told
    assert str(requiring.data_dir) not in told
    assert _count(requiring, "broken") == 0


def test_where_a_check_warns_its_failure_is_told_and_kept(
    warning: Server, archived: Archived
) -> None:
    operation = warning.register(archived(BROKEN), displayName="broken")

    (failure,) = _partial(operation)
    assert failure["code"] == 9
    assert failure["message"].startswith("the check failed at 'import handler': ")
    found = _check(warning, operation)
    assert found["state"] == "failed"
    assert found["detail"] == failure["message"]
    assert _verdicts(found)["import handler"] == "failed"
    assert _verdicts(found)["predict"] == "skipped"


def test_values_of_the_environment_are_given_to_the_check_and_not_told(
    warning: Server, archived: Archived
) -> None:
    raises = (
        """import os\n\nraise RuntimeError("no entry with " + os.environ["WORD"])"""
    )
    made = archived(f"{raises}\n\n\n{ECHO}")

    operation = warning.register(made, **_env(WORD="hunter2-hunter2"))

    found = json.dumps([_check(warning, operation), operation])
    assert "no entry with [WORD]" in found
    assert "hunter2" not in found


def test_where_nothing_is_checked_nothing_is_run(
    tmp_path: pathlib.Path, archived: Archived
) -> None:
    with running(_server(tmp_path, "none")) as server:
        operation = server.register(archived(BROKEN))

        found = _check(server, operation)

    assert found["state"] == "unchecked"
    assert "--check-policy none" in found["detail"]
    assert "report" not in found
    assert _partial(operation) == []


def test_a_version_runs_in_the_environment_that_its_check_resolved(
    tmp_path: pathlib.Path, packages: pathlib.Path
) -> None:
    wheels.make(packages, "greeter", "1.0")
    wheels.make(packages, "greeter", "2.0")
    with running(_server(tmp_path, "require")) as server:
        made = _needing(tmp_path, "greeter<2\n")

        operation = server.register(made)
        found = _check(server, operation)
        endpoint = server.create_endpoint()
        model = operation["response"]["model"]
        server.wait(server.begin_deploy(endpoint, model, {"0": 100}))

        assert server.ask(endpoint, 1) == ["1.0"]
    assert _verdicts(found)["build environment"] == "passed"
    assert "greeter==1.0" in found["report"]["lock"]


def test_requirements_that_do_not_go_together_are_not_registered(
    tmp_path: pathlib.Path, packages: pathlib.Path
) -> None:
    wheels.make(packages, "greeter", "1.0", needs=["words<2"])
    wheels.make(packages, "words", "1.0")
    wheels.make(packages, "words", "2.0")
    with running(_server(tmp_path, "require")) as server:
        operation = server.register(_needing(tmp_path, "greeter==1.0\nwords==2.0\n"))

    told = operation["error"]["message"]
    assert told.startswith("not registered, as the check failed at 'resolve': ")
    assert "greeter" in told
    assert "words" in told


def test_what_cannot_be_built_is_registered_with_a_warning_and_not_served(
    tmp_path: pathlib.Path, packages: pathlib.Path
) -> None:
    wheels.make(packages, "greeter", "1.0")
    with running(_server(tmp_path, "warn")) as server:
        operation = server.register(_needing(tmp_path, "greeter==2.0\n"))
        model = operation["response"]["model"]
        deployment = server.begin_deploy(server.create_endpoint(), model, {"0": 100})
        ended = server.wait(deployment)

    assert "the check failed at 'resolve'" in _partial(operation)[0]["message"]
    assert ended["error"]["code"] == 9
    assert "requirements that cannot be met here" in ended["error"]["message"]
    assert "greeter" in ended["error"]["message"]


@pytest.mark.parametrize("policy", ["none", "warn", "require"])
def test_a_lock_for_another_python_is_refused_when_it_is_registered(
    tmp_path: pathlib.Path, policy: str
) -> None:
    made = tmp_path / "foreign.mar"
    locked = "# python: 3.9\n# platform: linux-x86_64\nnumpy==1.26.4\n"
    files = {"MAR-INF/requirements.lock": locked.encode()}
    made.write_bytes(archive(ECHO.encode(), files=files))
    with running(_server(tmp_path, policy)) as server:
        operation = server.register(made)
        left = _count(server, "foreign")

    assert operation["error"]["code"] == 9
    told = operation["error"]["message"]
    assert told.startswith("the archive's lock is for Python 3.9 on linux-x86_64, and ")
    assert left == 0


def test_what_was_not_locked_as_the_index_did_not_answer_is_locked_when_it_is_deployed(
    tmp_path: pathlib.Path, packages: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels.make(packages, "greeter", "1.0")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with running(_server(tmp_path, "warn")) as server:
        operation = server.register(_needing(tmp_path, "greeter==1.0\n"))
        found = _check(server, operation)
        model = operation["response"]["model"]
        endpoint = server.create_endpoint()
        refused = server.wait(server.begin_deploy(endpoint, model, {"0": 100}))
        server.stop()
        monkeypatch.delenv("UV_OFFLINE")
        server.start()

        deployed = server.wait(server.begin_deploy(endpoint, model, {"0": 100}))

        assert "response" in deployed, deployed
        assert server.ask(endpoint, 1) == ["1.0"]
        again = _check(server, operation)
    (failure,) = _partial(operation)
    assert failure["code"] == 14
    assert failure["message"] == found["detail"]
    assert found["state"] == "unchecked"
    assert found["detail"].startswith(
        "the check could not be carried out: the package index does not answer"
    )
    assert refused["error"]["code"] == 14
    assert (
        "has requirements that were not locked when it was registered, and cannot be "
        "now: the package index does not answer"
    ) in refused["error"]["message"]
    assert again["state"] == "passed"
    assert "greeter==1.0" in again["report"]["lock"]


def test_an_image_alone_is_exempt(requiring: Server) -> None:
    _, operation = requiring.call(
        "POST",
        f"/v1/{PARENT}/models:upload",
        {
            "model": {
                "displayName": "image",
                "containerSpec": {"imageUri": "registry.example.com/model:1"},
            }
        },
    )

    found = _check(requiring, requiring.wait(operation))

    assert found["state"] == "exempt"
    assert "registry.example.com/model:1" in found["detail"]


def test_a_handler_that_hangs_fails_the_check_in_time(
    tmp_path: pathlib.Path, archived: Archived
) -> None:
    options = ("--check-timeout", "3")
    with running(_server(tmp_path, "require", *options)) as server:
        told = server.shared / "told"
        operation = server.register(archived(HANGS), **_env(TOLD=str(told)))

        assert "the check did not end within 3 s" in operation["error"]["message"]
        pid = _hanging_pid(told)
        wait_until(lambda: not is_running(pid))


def test_an_upload_that_is_cancelled_ends_its_check(
    warning: Server, archived: Archived
) -> None:
    told = warning.shared / "told"
    operation = _begin_upload(warning, archived(HANGS), **_env(TOLD=str(told)))
    pid = _hanging_pid(told)

    status, _ = warning.call("POST", f"/v1/{operation['name']}:cancel", {})

    assert status == 200
    wait_until(lambda: not is_running(pid))
    ended = warning.wait(operation)
    assert ended["error"] == {"code": 1, "message": "the operation was cancelled"}
    assert _count(warning, "hanging") == 0


def test_a_server_that_stops_does_not_wait_for_a_check(
    tmp_path: pathlib.Path, archived: Archived
) -> None:
    with running(_server(tmp_path, "warn")) as server:
        told = server.shared / "told"
        operation = _begin_upload(server, archived(HANGS), **_env(TOLD=str(told)))
        pid = _hanging_pid(told)

        began = time.monotonic()
        assert server.stop() == 0
        took_s = time.monotonic() - began

        server.start()
        ended = server.wait(operation)
        assert _count(server, "hanging") == 0
    assert took_s < 20
    assert ended["error"]["code"] == 9
    assert "send the request again" in ended["error"]["message"]
    wait_until(lambda: not is_running(pid))


def test_people_read_what_a_check_found(warning: Server, archived: Archived) -> None:
    warning.register(archived(BROKEN), displayName="people")

    told = _homeport(warning, "models", "check", "people")
    by_id = _homeport(warning, "models", "check", "people@1", "--output", "json")

    assert told.returncode == 3, told.stderr
    assert "checked by the server at 20" in told.stdout
    assert "import handler     failed" in told.stdout
    assert "raised RuntimeError: no weights today" in told.stdout
    assert "What to do: " in told.stdout
    assert by_id.returncode == 3
    assert json.loads(by_id.stdout)["report"]["passed"] is False


def test_people_read_that_nothing_was_checked(requiring: Server) -> None:
    container = {"imageUri": "registry.example.com/model:1"}
    _, operation = requiring.call(
        "POST",
        f"/v1/{PARENT}/models:upload",
        {"model": {"displayName": "elsewhere", "containerSpec": container}},
    )
    requiring.wait(operation)

    told = _homeport(requiring, "models", "check", "elsewhere")

    assert told.returncode == 0, told.stderr
    assert "exempt: only archives are checked" in told.stdout
    assert "checked by the server" not in told.stdout


def test_deploy_tells_what_the_check_found(warning: Server, archived: Archived) -> None:
    told = _homeport(warning, "deploy", str(archived(BROKEN, name="warned")))

    assert "warning     the check failed at 'import handler': " in told.stderr


def test_deploy_and_check_say_alike_that_nothing_was_predicted(
    warning: Server, archived: Archived
) -> None:
    told = _homeport(warning, "deploy", str(archived(ECHO, name="untried")))

    outcome = "passed, as far as loading goes: nothing was predicted"
    assert f"checked     {outcome}" in told.stdout
    checked = _homeport(warning, "models", "check", "untried")
    assert f"\n{outcome}" in checked.stdout


def test_who_deploys_at_a_terminal_sees_what_is_waited_for(
    warning: Server, archived: Archived
) -> None:
    status, drawn = terminals.drawn_by(
        "deploy", str(archived(ECHO, name="awaited")), HOMEPORT_URL=warning.url
    )

    assert status == 0, drawn
    assert b"the server checks it" in drawn
    assert b"replicas come up" in drawn


def test_a_check_that_nobody_knows_is_not_found(warning: Server) -> None:
    status, answer = warning.call("GET", f"/homeport/v1/{PARENT}/models/nothing/check")

    assert status == 404
    assert "nothing" in answer["error"]["message"]
