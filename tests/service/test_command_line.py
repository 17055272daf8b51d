"""Every command of docs/cli.md is run as it stands there; what goes wrong is told."""

import json
import pathlib
import re
import shlex

import pytest
import torch

import command_line
from homeport.packing import pack
from servers import Server

pytestmark = pytest.mark.service

ROOT = pathlib.Path(__file__).parents[2]
GUIDE = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
SOURCE = ROOT / "tests/archives/many_sided"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("digits")
    weights = folder / "weights.pt"
    torch.save({"weight": torch.ones(())}, weights)
    spec = pack.PackSpec(
        model_name="digits",
        handler=str(SOURCE / "handler.py"),
        model_file=SOURCE / "model.py",
        serialized_file=weights,
    )
    return pack.pack(spec, folder).path


@pytest.mark.timeout(180)
def test_the_guide_is_run_from_its_first_command_to_its_last(
    shared_server: Server,
    archive: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(shared_server, archive, tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line, comments=True)[1:]
        for block in re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    made = {"OPERATION": "", "EVALUATION": ""}

    told = {}
    for words in commands:
        known = [made.get(word, word) for word in words]
        ended = command_line.run(*known, url=shared_server.url)

        assert ended.code == 0, f"{words}: {ended.err}"
        told[" ".join(words[: 3 if words[1:2] == ["evaluations"] else 2])] = ended.out
        if words[:2] == ["operations", "list"]:
            made["OPERATION"] = ended.out.split()[0]
        elif words[1:3] == ["evaluations", "import"]:
            made["EVALUATION"] = ended.out.strip().rpartition("/")[2]

    check_answers(told)
    assert (tmp_path / "copies/model.mar").read_bytes() == archive.read_bytes()


def check_answers(told: dict[str, str]) -> None:
    """Look at what commands of the guide answered, by their first words."""
    assert json.loads(told["endpoints predict"])["predictions"] == [16.0]
    assert json.loads(told["endpoints raw-predict"]) == {"predictions": [16.0]}
    assert told["endpoints stream-raw-predict"] == "one\ntwo\nthree"
    assert "featureAttributions" in told["endpoints explain"]
    outputs = json.loads(told["endpoints direct-predict"])["outputs"]
    assert outputs == [{"dtype": "DOUBLE", "doubleVal": [16.0]}]
    assert json.loads(told["endpoints direct-raw-predict"]) == {"output": "Y2Jh"}
    assert json.loads(told["endpoints server-streaming-predict"])[0]["outputs"]
    assert json.loads(told["endpoints invoke"]) == {"predictions": [16.0]}
    assert "deployed_model 76  updated" in told["endpoints history"]
    assert "# Digits" in told["models readme"]
    assert "accuracy=0.97" in told["models evaluations list"]
    assert "recall=0.9" in told["models evaluations list-slices"]
    assert "STAGE" in told["operations stages"]
    assert "done: true" in told["operations wait"]
    assert told["batch delete"].startswith("deleted     projects/homeport/")
    assert "/batchPredictionJobs/" in told["batch cancel"]
    assert "which had ended before" in told["operations cancel"]


def prepare(server: Server, archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Bring what the guide takes for granted."""
    (folder / "digits.mar").write_bytes(archive.read_bytes())
    (folder / "README.md").write_text("# Digits\n")
    trial = folder / "trial"
    trial.mkdir()
    torch.save({"weight": torch.ones(())}, trial / "weights.pt")
    for name in ("handler.py", "model.py"):
        (trial / name).write_bytes((SOURCE / name).read_bytes())
    store = folder / "model-store"
    store.mkdir()
    (store / "digits.mar").write_bytes(archive.read_bytes())
    (folder / "config.properties").write_text("load_models=figures=digits.mar\n")
    (folder / "request.json").write_text('{"instances": [[2.0, 3.0, 5.0]]}')
    tensor = {"dtype": "FLOAT", "shape": [3], "floatVal": [2.0, 3.0, 5.0]}
    (folder / "tensors.json").write_text(json.dumps({"inputs": [tensor]}))
    (folder / "bytes.json").write_text('{"methodName": "m", "input": "YWJj"}')
    server.upload_archive(archive, "digits/1")
    server.upload("rows/a.jsonl", b"[2.0, 3.0, 5.0]\n" * 3)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(
            "models upload --display-name m --artifact-uri gs://not-there/m",
            1,
            ["not-there", "does not exist"],
            id="no bucket",
        ),
        pytest.param(
            "models describe nobody", 1, ["'nobody'", "models list"], id="no model"
        ),
        pytest.param("models describe a/b", 1, ["projects/PROJECT"], id="half a name"),
        pytest.param("models describe m@", 1, ["'m@'", "MODEL@2"], id="no version"),
        pytest.param("models list --order-by size", 1, ["size"], id="unknown order"),
        pytest.param("models list --filter x=", 1, ["filter"], id="broken filter"),
        pytest.param("endpoints describe nobody", 1, ["'nobody'"], id="no endpoint"),
        pytest.param("endpoints create --display-name x --endpoint-id 0x", 1,
                     ["'0x'"], id="a bad id"),
        pytest.param(
            "endpoints predict e --json-request none.json",
            1,
            ["none.json", "cannot be read"],
            id="no request",
        ),
        pytest.param(
            "endpoints raw-predict e --request @none", 1, ["none"], id="no body"
        ),
        pytest.param("operations describe 77", 1, ["operations/77"], id="no operation"),
        pytest.param("operations wait a/b", 1, ["'a/b'"], id="no operation's name"),
        pytest.param("batch wait nobody", 1, ["'nobody'", "batch list"], id="no job"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_one_sentence_on_standard_error(
    shared_server: Server, words: str, code: int, said: list[str]
) -> None:
    ended = command_line.run(*words.split(), url=shared_server.url)

    assert (ended.code, ended.out) == (code, "")
    (line,) = ended.err.splitlines()
    assert [word for word in said if word not in line] == [], line


def test_aliases_and_versions_that_are_the_same_are_told(
    shared_server: Server, archive: pathlib.Path
) -> None:
    uri = shared_server.upload_archive(archive, "known/1")
    upload = ("--display-name", "known", "--artifact-uri", uri)
    url = shared_server.url
    command_line.run("models", "upload", "--model-id", "known", *upload, url=url)
    command_line.run("models", "copy", "--source-model", "known",
                     "--destination-parent-model", "known", url=url)  # fmt: skip

    gone = command_line.run("models", "aliases", "known@1", "--remove", "gone", url=url)
    same = command_line.run("models", "compare", "known", "known@1", url=url)
    equal = command_line.run("models", "compare", "known@1", "known@2", url=url)

    assert gone.code == 1
    assert "version 1 has no alias 'gone': it has default" in gone.err
    assert same.out.splitlines()[0].startswith("both are projects/homeport/")
    assert equal.out.splitlines()[0].startswith("nothing that is compared differs")


def test_a_display_name_that_two_have_is_refused_with_both_ids(
    shared_server: Server,
) -> None:
    create = ("endpoints", "create", "--display-name", "twins", "--output", "name")
    names = [command_line.run(*create, url=shared_server.url).out for _ in range(2)]
    ids = [name.strip().rpartition("/")[2] for name in names]

    ended = command_line.run("endpoints", "describe", "twins", url=shared_server.url)

    assert ended.code == 1
    assert "2 endpoints are called 'twins'" in ended.err
    assert [one for one in ids if one not in ended.err] == []


def test_labels_of_an_endpoint_change_one_by_one(shared_server: Server) -> None:
    run = command_line.run
    url = shared_server.url
    run("endpoints", "create", "--display-name", "labelled",
        "--labels", "a=1,b=2", url=url)  # fmt: skip

    changed = run(
        *("endpoints", "update", "labelled", "--output", "json"),
        *("--update-labels", "c=3", "--remove-labels", "a"),
        url=url,
    )
    cleared = run(
        *("endpoints", "update", "labelled", "--output", "json", "--clear-labels"),
        url=url,
    )

    assert json.loads(changed.out)["labels"] == {"b": "2", "c": "3"}
    assert json.loads(cleared.out).get("labels", {}) == {}


def test_a_timeout_that_the_server_does_not_keep_is_warned_of(
    shared_server: Server,
) -> None:
    run = command_line.run
    url = shared_server.url
    run("endpoints", "create", "--display-name", "patient", url=url)

    ended = run(
        "endpoints", "update", "patient", "--inference-timeout", "9999", url=url
    )

    assert ended.code == 0
    assert (
        "warning     client_connection_config.inference_timeout is 9999 s" in ended.err
    )
