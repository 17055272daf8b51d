"""Of a server's words those that act for its models go along with their archives."""

import pathlib

import pytest

from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError
from homeport.modelstores import configuration

DIGITS = Manifest(model_name="digits", handler="handler", version="1.0")
DESCRIBED = """\
inference_address=http://0.0.0.0:8080
keystore_pass=changeit
default_response_timeout=30
load_models=digits.mar,renamed=other.mar
models={\\
  "numbers": {"1.0": {"marName": "digits.mar", "minWorkers": 2, "deviceType": "gpu"},\\
              "2.0": {"marName": "newer.mar", "defaultVersion": true}}}
"""


def test_without_a_configuration_every_archive_goes_by_its_own_name() -> None:
    nothing = configuration.StoreConfig()

    assert nothing.names_of("digits.mar", DIGITS) == ("digits",)
    assert nothing.loads("digits.mar")
    assert nothing.is_default("digits", "1.0") is None
    assert nothing.beside("digits", DIGITS) == ""
    assert nothing.missing({"digits.mar"}) == ()


def test_what_acts_goes_along_under_the_archives_own_name() -> None:
    told = configuration.parse(DESCRIBED)

    assert told.names_of("digits.mar", DIGITS) == ("numbers",)
    assert told.beside("numbers", DIGITS) == (
        'default_response_timeout=30\nmodels={"digits": {"1.0": {"minWorkers": 2}}}\n'
    )
    assert told.without_effect == ("inference_address", "keystore_pass")


def test_names_defaults_and_what_was_served_are_as_the_server_had_them() -> None:
    told = configuration.parse(DESCRIBED)

    assert told.names_of("other.mar", DIGITS) == ("renamed",)
    assert (told.loads("digits.mar"), told.loads("newer.mar")) == (True, False)
    assert told.is_default("numbers", "1.0") is False
    assert told.is_default("numbers", "2.0") is True
    assert told.missing({"digits.mar"}) == ("newer.mar", "other.mar")


def test_an_archive_has_every_name_that_it_was_given() -> None:
    told = configuration.parse(
        "load_models=a=x.mar,b=x.mar,y.mar,c=y.mar\n"
        'models={"numbers": {"1.0": {"marName": "y.mar"}}}'
    )

    assert told.names_of("x.mar", DIGITS) == ("a", "b")
    assert told.names_of("y.mar", DIGITS) == ("numbers", "c")


@pytest.mark.parametrize("line", ["load_models=all", "load_models=", "x=1"])
def test_a_server_that_was_not_told_which_is_taken_to_serve_all(line: str) -> None:
    assert configuration.parse(line).loads("any.mar")


def test_a_snapshot_tells_what_its_server_had() -> None:
    told = configuration.parse(
        "load_models=all\n"
        'model_snapshot={"name":"s.cfg","models":{"m":{"1.0":{"marName":"a.mar"}}}}'
    )

    assert (told.loads("a.mar"), told.loads("b.mar")) == (True, False)
    assert told.names_of("a.mar", DIGITS) == ("m",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("service_envelope=kservev2", "json or body", id="envelope"),
        pytest.param("models={,}", "is no JSON", id="no JSON"),
        pytest.param("job_queue_size=0", "at least 1", id="number"),
    ],
)
def test_a_word_that_no_archive_could_have_is_refused_once(
    tmp_path: pathlib.Path, text: str, said: str
) -> None:
    path = tmp_path / "config.properties"
    path.write_text(text)

    with pytest.raises(InvalidArgumentError, match=said):
        configuration.read(path)


def test_a_file_that_cannot_be_read_or_is_none_of_these_is_refused(
    tmp_path: pathlib.Path,
) -> None:
    long = tmp_path / "long"
    long.write_bytes(b"#" * ((1 << 20) + 1))

    with pytest.raises(InvalidArgumentError, match="No such file"):
        configuration.read(tmp_path / "none")
    with pytest.raises(InvalidArgumentError, match="the limit is 1048576"):
        configuration.read(long)
