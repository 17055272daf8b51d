"""TorchServe's words act in TorchServe's order; wrong ones are named, others too."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping

import pytest

from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError
from homeport.resources.torchserve import TorchServeWords
from homeport.worker import config, javaproperties, serverconfig
from homeport.worker.batching import BatchPolicy
from homeport.worker.serverconfig import Envelope, Properties

# Written out, the last list would have 9**12 entries.
GROWING = (
    "a: &a [x]\n"
    + "".join(
        f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, after in itertools.pairwise("abcdefghijklm")
    )
    + "maxWorkers: *m\n"
)


PLAIN = Manifest(model_name="numbers", handler="handler", version="2.0")
OWN = dataclasses.replace(PLAIN, config_file="own.yaml")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("a=1\nb:2\nc 3", {"a": "1", "b": "2", "c": "3"}, id="separators"),
        pytest.param(" a\t = \t1 ", {"a": "1 "}, id="blanks"),
        pytest.param("#a=1\n ! b=2\n\nc=3", {"c": "3"}, id="comments"),
        pytest.param("a=1,\\\n   2,\\\n#3", {"a": "1,2,#3"}, id="long lines"),
        pytest.param("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}, id="no long line"),
        pytest.param("a\\=b\\ c=\\u0041\\t\\q", {"a=b c": "A\tq"}, id="escapes"),
        pytest.param("a=1\r\na=2\rb", {"a": "2", "b": ""}, id="line ends, no value"),
        pytest.param("a==b=:c", {"a": "=b=:c"}, id="separators in values"),
        pytest.param("", {}, id="nothing"),
    ],
)
def test_properties_are_read_as_java_reads_them(
    text: str, values: dict[str, str]
) -> None:
    assert javaproperties.parse(text) == values


def test_a_broken_escape_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="four hexadecimal digits"):
        javaproperties.parse("a=C:\\users")


def read(text: str, **variables: str) -> serverconfig.ServerConfig:
    return serverconfig.read(Properties(text), variables)


def test_without_a_word_nothing_is_set() -> None:
    nothing = serverconfig.ServerConfig(
        Envelope.JSON, None, "", TorchServeWords(), {}, ()
    )

    assert serverconfig.read(Properties(), {"PATH": "/bin"}) == nothing


@pytest.mark.parametrize(
    ("text", "variables", "seconds", "source"),
    [
        pytest.param(
            "default_response_timeout=9",
            {},
            9,
            "default_response_timeout in config.properties",
            id="the file",
        ),
        pytest.param(
            "default_response_timeout=9",
            {"TS_DEFAULT_RESPONSE_TIMEOUT": "5"},
            9,
            "default_response_timeout in config.properties",
            id="variables not enabled",
        ),
        pytest.param(
            "default_response_timeout=9\nenable_envvars_config=true",
            {"TS_DEFAULT_RESPONSE_TIMEOUT": "5"},
            5,
            "TS_DEFAULT_RESPONSE_TIMEOUT in the deployment's variables",
            id="enabled by the file",
        ),
        pytest.param(
            "",
            {"TS_DEFAULT_RESPONSE_TIMEOUT": "5", "TS_ENABLE_ENVVARS_CONFIG": "True"},
            5,
            "TS_DEFAULT_RESPONSE_TIMEOUT in the deployment's variables",
            id="enabled by a variable",
        ),
        pytest.param(
            "enable_envvars_config=true",
            {"TS_DEFAULT_RESPONSE_TIMEOUT": "5", "TS_ENABLE_ENVVARS_CONFIG": "false"},
            None,
            "",
            id="disabled by a variable",
        ),
    ],
)
def test_variables_go_first_where_they_are_enabled(
    text: str,
    variables: Mapping[str, str],
    seconds: float | None,
    source: str,
) -> None:
    settings = read(text, **variables)

    assert settings.response_timeout_s == seconds
    assert settings.response_timeout_source == source


def test_the_file_beside_the_archive_goes_first_word_by_word() -> None:
    inside = "default_response_timeout=9\njob_queue_size=5\nmodel_store=/m"
    beside = "default_response_timeout=3\nservice_envelope=body\ncors_allowed_origin=*"

    settings = serverconfig.read(Properties(inside, beside), {})

    assert settings.response_timeout_s == 3
    assert settings.response_timeout_source == (
        "default_response_timeout in config.properties beside the archive"
    )
    assert settings.envelope is Envelope.BODY
    assert settings.notes == (
        "no effect on serving, in config.properties: model_store",
        "no effect on serving, in config.properties beside the archive: "
        "cors_allowed_origin",
    )


def test_the_file_beside_the_archive_can_enable_variables() -> None:
    settings = serverconfig.read(
        Properties("service_envelope=json", "enable_envvars_config=true"),
        {"TS_SERVICE_ENVELOPE": "body"},
    )

    assert settings.envelope is Envelope.BODY


def test_what_acts_later_is_gathered_and_the_models_own_words_go_first(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "config.properties").write_text(
        "default_workers_per_model=0\njob_queue_size=50\ninstall_py_dep_per_model=true"
    )
    (tmp_path / "own.yaml").write_text("minWorkers: 1\nmaxWorkers: 4\njobQueueSize: 7")

    own = config.load(tmp_path, OWN, {})
    servers = config.load(tmp_path, PLAIN, {})

    assert own.words == TorchServeWords(
        default_workers=0,
        min_workers=1,
        max_workers=4,
        queue_length=7,
        install_requirements=True,
    )
    assert servers.words == TorchServeWords(
        default_workers=0, queue_length=50, install_requirements=True
    )


def test_the_archives_own_limit_goes_before_the_servers(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.properties").write_text(
        "default_response_timeout=9\nservice_envelope=body"
    )
    (tmp_path / "own.yaml").write_text("responseTimeout: 2.5")

    own = config.load(tmp_path, OWN, {})
    servers = config.load(tmp_path, PLAIN, {})

    assert own.response_timeout_s == 2.5
    assert own.response_timeout_source == "responseTimeout in own.yaml"
    assert servers.response_timeout_s == 9
    assert own.envelope is servers.envelope is Envelope.BODY


DESCRIBED = """\
default_response_timeout=9
models={\\
  "numbers": {\\
    "1.0": {"minWorkers": 9},\\
    "2.0": {"defaultVersion": true, "marName": "n.mar", "minWorkers": 2,\\
            "maxWorkers": 3, "batchSize": 4, "maxBatchDelay": 50,\\
            "responseTimeout": 20, "startupTimeout": 60}},\\
  "others": {"2.0": {"minWorkers": 8}}}
"""


def test_what_is_said_of_a_model_acts_for_its_version_below_its_own_words(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "own.yaml").write_text("minWorkers: 1\nbatchSize: 2")

    own = config.load(tmp_path, OWN, {}, beside=DESCRIBED)
    servers = config.load(tmp_path, PLAIN, {}, beside=DESCRIBED)

    assert servers.words == TorchServeWords(min_workers=2, max_workers=3)
    assert servers.policy == BatchPolicy(4, 0.05)
    assert servers.response_timeout_s == 20
    assert servers.response_timeout_source == (
        "responseTimeout in config.properties beside the archive"
    )
    assert servers.notes == (
        "no effect on serving, in models in config.properties beside the archive: "
        "startupTimeout",
    )
    assert servers.values == {}
    assert own.words == TorchServeWords(min_workers=1, max_workers=3)
    assert own.policy == BatchPolicy(2, 0.05)


def test_a_snapshot_goes_before_the_words_for_models(tmp_path: pathlib.Path) -> None:
    snapshot = '{"name": "s.cfg", "models": {"numbers": {"2.0": {"batchSize": 7}}}}'
    beside = f"{DESCRIBED}\nmodel_snapshot={snapshot}\n"

    assert config.load(tmp_path, PLAIN, {}, beside).policy == BatchPolicy(7)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param('{"numbers": 1}', 'give a mapping such as {"NAME"', id="no map"),
        pytest.param("[1]", "give a mapping", id="a list"),
        pytest.param("{,}", "is no JSON", id="no JSON"),
        pytest.param("[" * 9000, "is no JSON", id="nested deep"),
        pytest.param('{"numbers": {"2.0": {"minWorkers": "2"}}}',
                     "minWorkers is '2' in models in config.properties", id="text"),
        pytest.param('{"numbers": {"2.0": {"batchSize": 0}}}', "at least 1", id="low"),
        pytest.param('{"numbers": {"2.0": {"maxBatchDelay": 3e9}}}', "whole", id="big"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_of_models_is_refused(
    tmp_path: pathlib.Path, value: str, said: str
) -> None:
    (tmp_path / "config.properties").write_text(f"models={value}")

    with pytest.raises(InvalidArgumentError) as caught:
        config.load(tmp_path, PLAIN, {})

    assert said in caught.value.message


def test_what_does_not_act_is_said_once_without_its_value() -> None:
    settings = read(
        "keystore_pass=changeit\nmodel_store=/m\njob_queue_size=1000\n"
        "install_py_dep_per_model=True\nenable_envvars_config=true",
        TS_DEFAULT_WORKERS_PER_MODEL="1",
        TS_METRICS_MODE="prometheus",
    )

    assert settings.notes == (
        "install_py_dep_per_model is True in config.properties: "
        "stored with the version, acts later",
        "no effect on serving, in config.properties: keystore_pass, model_store",
        "no effect on serving, in the deployment's variables: TS_METRICS_MODE",
    )


def test_variables_that_are_not_enabled_are_named() -> None:
    (note,) = read("", TS_DEFAULT_WORKERS_PER_MODEL="many").notes

    assert note.startswith("TS_DEFAULT_WORKERS_PER_MODEL: read by nobody but the")
    assert "TS_ENABLE_ENVVARS_CONFIG=true" in note


def test_words_of_the_config_file_that_do_not_act_are_said(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "own.yaml").write_text(
        "minWorkers: 1\nmaxWorkers: 4\ndeviceType: gpu\npt2: {}\nmy_own_key: 3\n"
    )

    assert config.load(tmp_path, OWN, {}).notes == (
        "no effect on serving, in own.yaml: deviceType, pt2",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("default_response_timeout=0", "at least 1", id="zero"),
        pytest.param("default_response_timeout=1.5", "a whole number", id="fraction"),
        pytest.param("default_response_timeout=", "a whole number", id="empty"),
        pytest.param("default_response_timeout=9999999999", "a whole", id="huge"),
        pytest.param("job_queue_size=-1", "at least 1", id="negative"),
        pytest.param("default_workers_per_model=two", "at least 0", id="word"),
        pytest.param("install_py_dep_per_model=yes", "true or false", id="switch"),
        pytest.param("enable_envvars_config=1", "true or false", id="enabling"),
        pytest.param("service_envelope=kservev2", "json or body", id="envelope"),
    ],
)
def test_a_wrong_value_is_refused_with_what_may_stand_there(
    line: str, expected: str
) -> None:
    key, _, value = line.partition("=")

    with pytest.raises(InvalidArgumentError) as caught:
        read(line)

    told = caught.value.message
    assert told.startswith(f"{key} is {value!r} in config.properties: give ")
    assert expected in told


@pytest.mark.parametrize(
    "line", ["minWorkers: -1", "maxWorkers: 0", "maxWorkers: true", "minWorkers: many"]
)
def test_a_wrong_number_of_workers_is_refused(
    tmp_path: pathlib.Path, line: str
) -> None:
    (tmp_path / "own.yaml").write_text(line)

    with pytest.raises(InvalidArgumentError, match="give a whole number, at least"):
        config.load(tmp_path, OWN, {})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param("a: " + "[" * 5000, "not valid YAML", id="nested deep"),
        pytest.param("a: " + "9" * 5000, "not valid YAML", id="a number too long"),
        pytest.param("a: 2026-99-99", "not valid YAML", id="no date"),
        pytest.param("# " + "x" * (256 << 10), "the limit is 262144", id="too long"),
        pytest.param(GROWING, "maxWorkers is", id="references that grow"),
        pytest.param(
            GROWING.replace("maxWorkers", "batchSize"), "batchSize is", id="in a batch"
        ),
    ],
)
def test_a_hostile_config_file_is_refused_at_once(
    tmp_path: pathlib.Path, text: str, cause: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)

    with pytest.raises(InvalidArgumentError, match=cause):
        config.load(tmp_path, OWN, {})
