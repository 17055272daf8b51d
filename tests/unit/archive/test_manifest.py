"""A manifest reads back as it was written, and as other tools write it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.archive import manifest
from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_UNKNOWN = st.dictionaries(st.text(min_size=1).map(lambda key: f"x{key}"), _JSON)
_MANIFESTS = st.builds(
    Manifest,
    model_name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-.]*", fullmatch=True),
    handler=st.sampled_from(["base_handler", "h.py", "h.py:entry", "dir/h:entry"]),
    version=st.text(min_size=1),
    serialized_file=st.text(),
    model_file=st.text(),
    extensions=st.lists(st.text()).map(tuple),
    requirements_file=st.text(),
    config_file=st.text(),
    runtime=st.sampled_from(["python", "python3"]),
    archiver_version=st.text(),
    created_on=st.text(),
    description=st.text(),
    envelope=st.text(),
    source_vocab=st.text(),
    trust_pickle=st.booleans(),
    kept=_UNKNOWN,
    kept_in_model=_UNKNOWN,
)


def _document(**model: object) -> bytes:
    declared = {"modelName": "m", "handler": "h.py", "modelVersion": "2"} | model
    return json.dumps({"runtime": "python", "model": declared}).encode()


@settings(deadline=None, max_examples=50)
@given(_MANIFESTS)
def test_a_manifest_survives_the_round_trip(declared: Manifest) -> None:
    assert manifest.parse(manifest.serialize(declared)) == declared


def test_what_torch_model_archiver_writes_is_understood() -> None:
    text = b"""{
      "createdOn": "21/11/2025 10:00:00",
      "runtime": "python",
      "model": {
        "modelName": "digits",
        "serializedFile": "model.pt",
        "handler": "handler.py:entry",
        "modelFile": "model.py",
        "modelVersion": "1.0",
        "requirementsFile": "requirements.txt",
        "configFile": "model-config.yaml"
      },
      "archiverVersion": "0.12.0"
    }"""

    assert manifest.parse(text) == Manifest(
        model_name="digits",
        version="1.0",
        handler="handler.py:entry",
        serialized_file="model.pt",
        model_file="model.py",
        requirements_file="requirements.txt",
        config_file="model-config.yaml",
        runtime="python",
        archiver_version="0.12.0",
        created_on="21/11/2025 10:00:00",
    )


def test_a_missing_version_is_1_0() -> None:
    text = b'{"model": {"modelName": "m", "handler": "h.py"}}'

    assert manifest.parse(text).version == "1.0"


@pytest.mark.parametrize(
    ("number", "version"),
    [
        pytest.param(b"3", "3", id="whole"),
        pytest.param(b"1.10", "1.10", id="the trailing zero stays"),
    ],
)
def test_a_version_may_be_a_number(number: bytes, version: str) -> None:
    text = _document().replace(b'"2"', number)

    assert manifest.parse(text).version == version


def test_unknown_keys_come_back_as_they_came() -> None:
    text = b"""{"model": {"modelName": "m", "handler": "h.py", "team": [1.5, "a"]},
                "license": "MIT"}"""

    declared = manifest.parse(text)

    assert declared.kept == {"license": "MIT"}
    assert declared.kept_in_model == {"team": [1.5, "a"]}
    assert b'"team"' in manifest.serialize(declared)


@pytest.mark.parametrize(
    ("handler", "module", "function"),
    [
        pytest.param("handler.py", "handler", "", id="file"),
        pytest.param("handler.py:run", "handler", "run", id="file and function"),
        pytest.param("handler:run", "handler", "run", id="module and function"),
        pytest.param("src/handler.py", "handler", "", id="directory is dropped"),
        pytest.param("base_handler", "base_handler", "", id="default"),
    ],
)
def test_the_handler_keeps_its_function(
    handler: str, module: str, function: str
) -> None:
    declared = manifest.parse(_document(handler=handler))

    assert declared.handler == handler
    assert (declared.handler_module, declared.handler_function) == (module, function)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(b"{", "not valid JSON", id="cut"),
        pytest.param(b"\xff\xfe", "not valid JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="nested too deep"),
        pytest.param(b'{"model": NaN}', "not valid JSON", id="NaN"),
        pytest.param(b'{"x": 1e999}', "not valid JSON", id="infinite"),
        pytest.param(b"[]", "no JSON object", id="a list"),
        pytest.param(b" " * (2 << 20), "2097152 bytes", id="too big"),
        pytest.param(b"{}", "model is missing", id="no model"),
        pytest.param(b'{"model": {}}', "modelName is missing", id="no name"),
        pytest.param(
            b'{"model": {"modelName": "m"}}', "handler is missing", id="no handler"
        ),
        pytest.param(_document(modelName="../m"), "modelName is", id="bad name"),
        pytest.param(_document(modelName=["m"]), "modelName is list", id="list name"),
        pytest.param(_document(modelVersion=""), "modelVersion is", id="no version"),
        pytest.param(_document(handler=":f"), "handler is", id="function alone"),
        pytest.param(_document(extensions="x"), "extensions is", id="extensions"),
        pytest.param(
            b'{"runtime": "LSP", "model": {"modelName": "m", "handler": "h"}}',
            "runtime is 'LSP'",
            id="C++ runtime",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_by_key(text: bytes, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"MANIFEST\.json") as caught:
        manifest.parse(text)

    assert problem in caught.value.message


@settings(deadline=None, max_examples=50)
@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_bytes_of_any_kind_are_refused_by_our_error(text: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        manifest.parse(text)
