"""What an import does of each archive, and how it is left, by what a server answers."""

import _thread
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import command_line
from answering import answering
from homeport.cli import waiting
from homeport.client.connection import Address, Connection
from homeport.modelstores import bringing, configuration, plan
from homeport.packing import pack

PARENT = "/v1/projects/homeport/locations/us-central1"
COMMAND = ("import", "--from", "torchserve-model-store")
Put = Callable[..., None]


@pytest.fixture
def store(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def put(store: pathlib.Path, tmp_path: pathlib.Path) -> Put:
    """Return what puts an archive into the store."""
    handler = tmp_path / "handler.py"
    handler.write_text("def handle(data, context):\n    return data\n")

    def put(name: str, version: str) -> None:
        folder = tmp_path / f"{name}-{version}"
        folder.mkdir()
        spec = pack.PackSpec(model_name=name, version=version, handler=str(handler))
        pack.pack(spec, folder).path.rename(store / f"{name}-{version}.mar")

    return put


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Return what interrupts the test's own thread, also where that was ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def registered(store: pathlib.Path, deployed: Callable[[str], dict[str, Any]]) -> Any:
    """Return a server that has all versions of a store, and empty endpoints.

    Args:
        store: With archives of different models.
        deployed: What becomes of a deployment, by the endpoint's name.
    """
    planned = plan.make(store, configuration.StoreConfig()).planned
    labels = {one.name: bringing.identify(one)[:40] for one in planned}
    models = [
        {"name": f"{PARENT[4:]}/models/{name}", "displayName": name} for name in labels
    ]

    def answer(method: str, path: str) -> dict[str, Any] | None:
        del method
        if path == "/healthz":
            return {"status": "ok"}
        if path.startswith(f"{PARENT}/models?"):
            return {"models": models}
        name, _, verb = path.partition("?")[0].rpartition("/")[2].partition(":")
        if verb == "listVersions":
            version = {"versionId": "1", "labels": {bringing.LABEL: labels[name]}}
            return {"models": [version]}
        if verb == "deployModel":
            return {"name": "operations/7", "done": True, **deployed(name)}
        return {"name": f"{PARENT[4:]}/endpoints/{name}", "displayName": name}

    return answer


@pytest.mark.parametrize(
    "code", [pytest.param(4, id="late"), pytest.param(14, id="no")]
)
def test_an_archive_that_the_server_is_too_slow_for_does_not_keep_the_others_out(
    store: pathlib.Path, put: Put, code: int
) -> None:
    put("digits", "1.0")
    put("letters", "1.0")

    def deployed(name: str) -> dict[str, Any]:
        if name == "letters":
            return {"response": {}}
        return {"error": {"code": code, "message": "it did not load within 60 s"}}

    with answering(registered(store, deployed)) as url:
        ended = command_line.run(*COMMAND, str(store), "--deploy", url=url)

    assert ended.code == 1
    assert ended.out.splitlines() == [
        f"{store}: 2 can be imported or are there, 0 cannot be",
        f"there       1/2 digits-1.0.mar: {PARENT[4:]}/models/digits@1 "
        "(digits, version 1.0)",
        "failed      1/2 digits-1.0.mar",
        f"there       2/2 letters-1.0.mar: {PARENT[4:]}/models/letters@1 "
        "(letters, version 1.0)",
        f"deployed    letters: {PARENT[4:]}/endpoints/letters",
    ]
    assert ended.err.splitlines() == [
        "not imported, 1:",
        f"  digits-1.0.mar: {PARENT[4:]}/models/digits@1 is registered and not "
        "deployed: it did not load within 60 s",
    ]


def test_ctrl_c_says_how_to_go_on(
    store: pathlib.Path, put: Put, ctrl_c: Callable[[], None]
) -> None:
    put("digits", "1.0")

    def deployed(name: str) -> dict[str, Any]:
        del name
        ctrl_c()
        return {"response": {}}

    with answering(registered(store, deployed)) as url:
        ended = command_line.run(*COMMAND, str(store), "--deploy", url=url)

    assert ended.code == 130
    assert ended.err.splitlines() == [
        "interrupted",
        "say it again: what is there is known, and the rest goes on",
    ]


def test_a_name_with_quotes_is_asked_for_as_it_is(
    store: pathlib.Path, put: Put
) -> None:
    put("digits", "1.0")
    config = store / "config.properties"
    config.write_text('load_models=the "best"=digits-1.0.mar\n')
    asked: list[str] = []

    def answer(method: str, path: str) -> dict[str, Any]:
        asked.append(f"{method} {path}")
        return {}

    with answering(answer) as url:
        ended = command_line.run(
            *COMMAND, str(store), "--config", str(config), "--dry-run", url=url
        )

    assert ended.code == 0, ended.err
    (listed,) = asked
    assert r'filter=display_name="the \"best\""' in listed


def test_a_version_whose_endpoint_would_be_another_models_is_not_deployed(
    store: pathlib.Path, put: Put
) -> None:
    for name, version in (("x", "2.0"), ("x", "3.0"), ("x-2.0", "1.0")):
        put(name, version)

    with answering(lambda method, path: {}) as url:  # noqa: ARG005  # Answer's
        ended = command_line.run(*COMMAND, str(store), "--deploy", "--dry-run", url=url)

    assert ended.code == 1
    assert [
        line for line in ended.out.splitlines() if line.startswith("to deploy")
    ] == [
        "to deploy   to endpoint x, if it is not there",
        "to deploy   to endpoint x-2.0, if it is not there",
    ]
    assert ended.err.splitlines() == [
        "not imported, 1:",
        "  x-2.0.mar: endpoint x-2.0 is that of another model's version, too: deploy "
        "this one to another endpoint with `homeport endpoints deploy-model`",
    ]


@pytest.fixture
def unfinished() -> dict[str, Any]:
    """An operation that registers a version, perhaps for an earlier import."""
    kind = "google.cloud.aiplatform.v1.UploadModelOperationMetadata"
    name = f"{PARENT[4:]}/operations/7"
    return {"name": name, "metadata": {"@type": f"type.googleapis.com/{kind}"}}


def test_what_is_there_is_known_without_a_wait_for_what_others_register(
    store: pathlib.Path, put: Put
) -> None:
    put("digits", "1.0")
    there = registered(store, lambda name: {"response": {"name": name}})
    asked: list[str] = []

    def answer(method: str, path: str) -> dict[str, Any] | None:
        asked.append(path)
        known: dict[str, Any] | None = there(method, path)
        return known

    with answering(answer) as url:
        ended = command_line.run(*COMMAND, str(store), url=url)

    assert (ended.code, ended.err) == (0, "")
    assert [path for path in asked if "/operations" in path] == []


def test_what_others_register_is_waited_for_once_in_a_run(
    store: pathlib.Path, put: Put, unfinished: dict[str, Any]
) -> None:
    put("digits", "1.0")
    put("letters", "1.0")
    asked: list[str] = []

    def answer(method: str, path: str) -> dict[str, Any] | None:
        asked.append(f"{method} {path}")
        if path.startswith(f"{PARENT}/operations?"):
            return {"operations": [unfinished]}
        if path.startswith(f"/v1/{unfinished['name']}"):
            return {**unfinished, "done": True, "response": {}}
        # Nothing is there, and nothing can be uploaded.
        return {} if method == "GET" and path.startswith(f"{PARENT}/models?") else None

    with answering(answer) as url:
        ended = command_line.run(*COMMAND, str(store), url=url)

    waits = [call for call in asked if f"{PARENT}/operations?" in call]
    assert len(waits) == 1
    assert ended.err.count("still registers a version") == 1
    assert ended.out.count("failed") == 2


def test_all_that_others_register_is_waited_for_until_one_deadline(
    unfinished: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        answering(lambda method, path: unfinished) as url,  # noqa: ARG005  # Answer's
        Connection(Address(url, "p", "l")) as connection,
    ):
        waiting.for_others(
            connection, [unfinished] * 3, "registers a version", timeout_s=0.01
        )

    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"waiting     {unfinished['name']} registers a version"
