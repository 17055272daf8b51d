"""A TorchServe model store becomes models, versions and endpoints, once."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest

import command_line
from homeport.packing import pack
from servers import PARENT, Server, running, wait_until

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

HANDLER = """\
def handle(data, context):
    return [context.system_properties["batch_size"]] * len(data or [])
"""
CONFIG = """\
load_models=all
models={"head-counts": {"1.0": {"marName": "old.mar", "defaultVersion": true,\\
                           "minWorkers": 2, "batchSize": 3},\\
                   "2.0": {"marName": "new.mar"}}}
"""
SLOW = f"import time\n\ntime.sleep(5)\n\n\n{HANDLER}"
COMMAND = ("import", "--from", "torchserve-model-store")


@pytest.fixture
def store(tmp_path: pathlib.Path) -> pathlib.Path:
    """A store of two versions of one model, and an archive that is damaged."""
    store = tmp_path / "store"
    store.mkdir()
    handler = tmp_path / "handler.py"
    handler.write_text(HANDLER)
    for version, file in (("1.0", "old.mar"), ("2.0", "new.mar")):
        (tmp_path / version).mkdir()
        spec = pack.PackSpec(model_name="census", version=version, handler=str(handler))
        pack.pack(spec, tmp_path / version).path.rename(store / file)
    damaged = (store / "old.mar").read_bytes().replace(b"[context", b"[Context")
    (store / "damaged.mar").write_bytes(damaged)
    (tmp_path / "config.properties").write_text(CONFIG)
    return store


@pytest.fixture
def run(
    shared_server: Server, store: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., command_line.Ended]:
    monkeypatch.chdir(store.parent)

    def run(*words: str) -> command_line.Ended:
        return command_line.run(*words, url=shared_server.url)

    return run


def test_a_store_is_registered_and_served_once_and_what_is_damaged_is_told_at_the_end(
    run: Callable[..., command_line.Ended],
) -> None:
    words = (*COMMAND, "store", "--config", "config.properties", "--deploy")

    planned = run(*words, "--dry-run")
    untouched = run("models", "list", "--filter", 'display_name="head-counts"')
    first = run(*words)
    second = run(*words)

    assert "to register 2/3 old.mar (head-counts, version 1.0)" in planned.out
    assert '"minWorkers": 2' in planned.out
    assert "head-counts" not in untouched.out
    for ended in (planned, first, second):
        assert ended.code == 1
        assert ended.err.splitlines()[-2] == "not imported, 1:"
        assert "damaged.mar: its member 'handler.py' is damaged" in ended.err
    assert [line.split()[0] for line in first.out.splitlines()[1:]] == [
        "failed", "registered", "deployed", "registered", "deployed",
    ]  # fmt: skip
    assert [line.split()[0] for line in second.out.splitlines()[1:]] == [
        "failed", "there", "serving", "there", "serving",
    ]  # fmt: skip
    assert versions(run, "head-counts") == {"1": ["default"], "2": []}
    assert predicted(run, "head-counts") == [3]
    assert predicted(run, "head-counts-2.0") == [1]
    endpoint = json.loads(
        run("endpoints", "describe", "head-counts", "--output", "json").out
    )
    (deployed,) = endpoint["deployedModels"]
    assert deployed["status"]["availableReplicaCount"] == 2


def test_a_model_that_others_made_keeps_its_default_version(
    run: Callable[..., command_line.Ended], store: pathlib.Path
) -> None:
    (store / "damaged.mar").unlink()
    (store / "old.mar").rename(store.parent / "mine.mar")
    run("storage", "mb", "gs://census-archives")
    run("storage", "cp", "mine.mar", "gs://census-archives/first/model.mar")
    uploaded = run(
        "models", "upload", "--display-name", "census", "--artifact-uri",
        "gs://census-archives/first",
    )  # fmt: skip
    assert uploaded.code == 0, uploaded.err

    ended = run(*COMMAND, "store")

    assert (ended.code, ended.err) == (0, "")
    assert versions(run, "census") == {"1": ["default"], "2": []}


def test_what_the_server_still_registers_for_a_killed_run_is_found_by_the_next(
    tmp_path: pathlib.Path, archived: Callable[..., pathlib.Path]
) -> None:
    store = archived(SLOW, "census").parent
    words = (*COMMAND, str(store), "--project", "p")
    unfinished = f"/v1/{PARENT}/operations?filter=done%3Dfalse"

    with running(Server(tmp_path / "data", check_policy="warn")) as server:
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "homeport", *words, "--url", server.url],
            stdout=subprocess.DEVNULL,
        ) as killed:
            try:
                wait_until(lambda: server.call("GET", unfinished)[1] != {})
            finally:
                killed.kill()
        ended = command_line.run(*words, url=server.url)
        models = server.call("GET", f"/v1/{PARENT}/models")[1]["models"]

    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1].startswith("there       1/1 census.mar")
    assert "still registers a version" in ended.err
    assert [one["versionId"] for one in models] == ["1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["none"], "no model store that can be read", id="no folder"),
        pytest.param(["."], "has no .mar files", id="no archives"),
        pytest.param(["store", "--config", "none"], "cannot be read", id="no config"),
    ],
)
def test_what_is_no_store_is_one_sentence(
    run: Callable[..., command_line.Ended], words: list[str], said: str
) -> None:
    ended = run(*COMMAND, *words)

    assert (ended.code, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    assert said in line


def test_without_a_server_nothing_more_is_tried(store: pathlib.Path) -> None:
    (store / "damaged.mar").unlink()

    ended = command_line.run(*COMMAND, str(store), url="http://127.0.0.1:9")

    assert ended.code == 4
    assert "failed" not in ended.out


def versions(
    run: Callable[..., command_line.Ended], model: str
) -> dict[str, list[str]]:
    listed = run("models", "list-version", model, "--output", "json")
    return {
        one["versionId"]: one.get("versionAliases", [])
        for one in json.loads(listed.out)
    }


def predicted(run: Callable[..., command_line.Ended], endpoint: str) -> list[int]:
    answer = run("predict", endpoint, "--json", "[[1]]")
    assert answer.code == 0, answer.err
    predictions: list[int] = json.loads(answer.out)["predictions"]
    return predictions
