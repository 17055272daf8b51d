"""A command that contradicts itself is refused before anything is sent."""

import pathlib
import re

import click
import pytest

import command_line
from command_line import leaves
from homeport.cli import main, waiting

GUIDE = (pathlib.Path(__file__).parents[3] / "docs/cli.md").read_text("utf-8")
NOWHERE = "http://127.0.0.1:9"
UPLOAD = "models upload --display-name m"
DEPLOY = "endpoints deploy-model e --model m"
MUTATE = "endpoints mutate-deployed-model e --deployed-model-id 1"
BATCH = (
    "batch create --display-name j --model m --gcs-source gs://b/i "
    "--gcs-destination-prefix gs://b/o"
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("modls list", "No such command 'modls'", id="no command"),
        pytest.param("model list", "Did you mean 'models'?", id="nearly a command"),
        pytest.param("models lst", "No such command 'lst'", id="no command of a group"),
        pytest.param("models list --fliter x", "No such option", id="no option"),
        pytest.param("models list --limit 0", "'--limit'", id="no number of lines"),
        pytest.param("models list --page-size 1001", "'--page-size'", id="page size"),
        pytest.param("models list --output xml", "'--output'", id="no form"),
        pytest.param(
            "models list --order-by a --sort-by b", "either --order-by", id="two orders"
        ),
        pytest.param("models describe", "Missing argument", id="no model"),
        pytest.param(UPLOAD + " --model-id a --parent-model b", "either", id="parents"),
        pytest.param(UPLOAD + " --labels a", "'a' is not KEY=VALUE", id="no value"),
        pytest.param(UPLOAD + " --labels A=b", "'A'", id="no label"),
        pytest.param(UPLOAD + " --container-ports 0", "'0' is no port", id="port 0"),
        pytest.param(UPLOAD + " --container-ports 70000", "65535", id="port 70000"),
        pytest.param(
            UPLOAD + " --explanation-path-count 3",
            "without --explanation-method",
            id="no method",
        ),
        pytest.param(
            UPLOAD + " --explanation-method xrai --explanation-path-count 3",
            "--explanation-step-count",
            id="the wrong count",
        ),
        pytest.param(
            UPLOAD + " --explanation-method sampled-shapley --explanation-path-count 3 "
            "--smooth-grad-noise-sigma 0.1",
            "takes none of --smooth-grad",
            id="noise of no gradient",
        ),
        pytest.param("models copy", "--source-model", id="no source"),
        pytest.param(
            "models copy --source-model a --destination-model-id b "
            "--destination-parent-model c",
            "either",
            id="two destinations",
        ),
        pytest.param("models update m", "nothing to change", id="nothing to change"),
        pytest.param(
            "models update m --clear-labels --remove-labels a", "either", id="labels"
        ),
        pytest.param("models delete m@2", "delete-version", id="delete a version"),
        pytest.param("models delete-version m", "MODEL@VERSION", id="no version"),
        pytest.param("models history m --at 2026-11-17", "--alias", id="no alias"),
        pytest.param(
            "models aliases m@1 --add a1,b1 --remove a1",
            "'a1' is to be added and removed",
            id="added and removed",
        ),
        pytest.param("models list --sort-by ~", "names no field", id="no field"),
        pytest.param("models list --url=", "it is empty", id="an empty address"),
        pytest.param("models list --project=", "it is empty", id="an empty project"),
        pytest.param(
            f"deploy {__file__} --traffic 120%",
            "'120%' is no whole percentage from 0 to 100",
            id="120 %",
        ),
        pytest.param(f"deploy {__file__} --traffic %", "'%' is no whole", id="a sign"),
        pytest.param("deploy @1", "no MODEL@VERSION", id="a version of nothing"),
        pytest.param(
            f"deploy {__file__} --lineage Run=1", "the key 'Run'", id="no lineage"
        ),
        pytest.param("storage cp a", "where to", id="no target"),
        pytest.param(
            "endpoints raw-predict e --request x --http-headers Ä=1",
            "'Ä'='1' is no header",
            id="no header",
        ),
        pytest.param(
            "serve --private-endpoint x", "'x' is not HOST:PORT", id="no endpoint"
        ),
        pytest.param("endpoints create", "--display-name", id="no name"),
        pytest.param("pack --model-name= -s a.pt", "it is empty", id="an empty name"),
        pytest.param(
            f"deploy {__file__} --endpoint=", "it is empty", id="an empty endpoint"
        ),
        pytest.param(
            DEPLOY + " --traffic-split 0=100 --traffic-percent 1", "either", id="splits"
        ),
        pytest.param(DEPLOY + " --traffic-split 0=x", "'x'", id="no share"),
        pytest.param(DEPLOY + " --traffic-split 0=-1", "'-1'", id="negative share"),
        pytest.param(DEPLOY + " --traffic-percent 101", "101", id="above 100"),
        pytest.param(
            DEPLOY + " --min-replica-count 3 --max-replica-count 2",
            "--min-replica-count 3 is above",
            id="replicas",
        ),
        pytest.param(DEPLOY + " --accelerator count=2", "type=TYPE", id="no type"),
        pytest.param(BATCH + " --accelerator count=2", "type=TYPE", id="no GPU"),
        pytest.param(
            DEPLOY + " --accelerator type=nvidia-l4,count=x", "count=x", id="no count"
        ),
        pytest.param("endpoints update e", "nothing to change", id="no change"),
        pytest.param(
            "endpoints update e --traffic-split v1=100 --clear-traffic-split",
            "one of",
            id="both splits",
        ),
        pytest.param(
            "endpoints update e --inference-timeout 3 --description d",
            "a change of its own",
            id="a deadline and more",
        ),
        pytest.param(
            "endpoints update e --inference-timeout 0", "0", id="no time at all"
        ),
        pytest.param(MUTATE, "nothing to change", id="no other replicas"),
        pytest.param(
            MUTATE + " --min-replica-count 3 --max-replica-count 2",
            "--min-replica-count 3 is above",
            id="other replicas",
        ),
        pytest.param(
            "endpoints mutate-deployed-model e --min-replica-count 3",
            "--deployed-model-id",
            id="no deployed model",
        ),
        pytest.param(
            "operations list --model a --endpoint b", "either", id="two owners"
        ),
        pytest.param(
            BATCH + " --included-fields a --excluded-fields b", "either", id="fields"
        ),
        pytest.param(BATCH + " --instances-format xml", "xml", id="no such format"),
    ],
)
def test_a_command_that_means_nothing_is_not_understood(words: str, said: str) -> None:
    ended = command_line.run(*words.split(), url=NOWHERE)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("deploy m@1 --traffic 20%", id="a percentage"),
        pytest.param(DEPLOY + " --traffic-percent 20%", id="another percentage"),
        pytest.param("models list", id="list"),
        pytest.param("endpoints describe e", id="describe"),
        pytest.param("operations wait 1", id="wait"),
    ],
)
def test_without_a_server_the_code_is_4_and_the_sentence_says_what_to_do(
    words: str,
) -> None:
    ended = command_line.run(*words.split(), url=NOWHERE)

    assert (ended.code, ended.out) == (4, "")
    assert "homeport serve" in ended.err


def test_an_address_that_is_none_is_refused() -> None:
    ended = command_line.run("models", "list", url="ftp://host")

    assert ended.code == 1
    assert "'ftp://host' is no address of a server" in ended.err


def test_a_file_of_this_machine_is_no_artifact_and_the_right_command_is_named() -> None:
    upload = ("models", "upload", "--display-name", "m", "--artifact-uri")

    ended = command_line.run(*upload, "digits.mar", url=NOWHERE)

    assert ended.code == 1
    assert "'digits.mar' is no address of a bucket" in ended.err
    assert "homeport storage cp" in ended.err


@pytest.mark.parametrize("path", ["", "/", "../x", "v1/./x"])
def test_a_path_that_leads_out_of_the_model_is_refused(path: str) -> None:
    ended = command_line.run("endpoints", "invoke", "e", path, "--request", "x")

    assert ended.code == 1
    assert f"PATH is {path!r}" in ended.err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        pytest.param("keys create --output file/key.json", "--output", id="key"),
        pytest.param("keys create --data-dir file/there", "--data-dir", id="keys"),
        pytest.param("tls init --data-dir file/there", "--data-dir", id="certificates"),
    ],
)
def test_what_cannot_be_written_names_the_option_and_leaves_nothing(
    words: str, option: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")

    ended = command_line.run(*words.split())

    assert (ended.code, ended.out) == (1, "")
    assert f"choose another {option}" in ended.err
    assert not list(tmp_path.glob("homeport-data/keys/*"))


def test_ctrl_c_is_told_by_who_knows_most_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt() -> None:
        with waiting.telling("of the whole"), waiting.telling("of this"):
            error = KeyboardInterrupt()
            error.add_note("for Python programs")
            raise error

    interrupted = click.command("models")(interrupt)
    monkeypatch.setattr(type(main), "get_command", lambda *_: interrupted, raising=True)

    ended = command_line.run("models")

    assert (ended.code, ended.err) == (130, "interrupted\nof this\n")


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    interrupted = click.command("models")(interrupt)
    monkeypatch.setattr(type(main), "get_command", lambda *_: interrupted, raising=True)

    ended = command_line.run("models")

    assert (ended.code, ended.err) == (130, "interrupted\n")


def test_the_list_of_commands_is_the_commands() -> None:
    context = click.Context(main)

    shown = main.get_help(context)

    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param(
            "deploy",
            "`homeport endpoints rollback` does not move it back, `homeport models "
            "aliases MODEL@VERSION --add default` does",
            id="deploy and the default version",
        ),
        pytest.param(
            "endpoints rollback",
            "`homeport models aliases MODEL@VERSION --add default`",
            id="rollback and the default version",
        ),
        pytest.param(
            "undeploy",
            "DEPLOYED_MODEL is named even where it is the only one",
            id="undeploy names what leaves",
        ),
        pytest.param(
            "undeploy",
            "a single one that is left gets everything",
            id="undeploy and one that had nothing",
        ),
    ],
)
def test_the_help_says_what_surprises(name: str, said: str) -> None:
    ended = command_line.run(*name.split(), "--help")

    assert said in " ".join(ended.out.split())


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, command in leaves(main)
        if any(parameter.name == "url" for parameter in command.params)
        and not name.startswith("keys")
    ],
)
def test_the_guide_has_each_command_that_talks_to_a_server(name: str) -> None:
    assert re.search(rf"^homeport {name}( |$)", GUIDE, re.MULTILINE)
