"""`homeport check --explain-payload`: a request as every server would hand it on."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from homeport.cli.check import check
from homeport.errors import HomeportError


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with requests of several kinds."""
    monkeypatch.chdir(tmp_path)
    Path("rows.json").write_text('{"instances":\n [[1, 2.5]]}\n')
    Path("cat.jpg").write_bytes(b"\xff\xd8\x00")
    Path("ragged.json").write_text('{"instances": [[1], [1, 2]]}')
    Path("empty.json").write_text("")


def _explain(*words: str) -> Result:
    return CliRunner().invoke(check, ["--explain-payload", *words])


def test_people_see_each_way_with_the_data_of_the_handler() -> None:
    result = _explain("rows.json")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        'rows.json: JSON with "instances"\n'
        "\n"
        "Homeport\n"
        "  POST ENDPOINT:predict  application/json  service_envelope=json\n"
        '      {"instances":  [[1, 2.5]]}\n'
        "      data = [[1, 2.5]]\n"
        "  POST ENDPOINT:predict  application/json  service_envelope=body\n"
        '      {"instances":  [[1, 2.5]]}\n'
        "      data = [{'instances': [[1, 2.5]]}]\n"
        "\n"
        "Vertex AI\n"
    )
    assert "  POST /v2/models/MODEL/infer  application/json" in result.stdout


def test_a_form_and_a_refusal_are_shown_as_such() -> None:
    picture, ragged = _explain("cat.jpg").stdout, _explain("ragged.json").stdout

    assert (
        "  POST /predictions/MODEL  multipart/form-data\n"
        "      data=b'\\xff\\xd8\\x00'\n"
        "      data = [{'data': bytearray(b'\\xff\\xd8\\x00')}]\n"
    ) in picture
    assert "    no data: the rows are not all of one shape, so the Open" in ragged


def test_long_data_is_cut_and_counted() -> None:
    Path("long.json").write_text(json.dumps({"instances": [[7] * 1000]}))

    shown = _explain("long.json").stdout

    assert "... (3,002 characters)\n" in shown
    assert max(map(len, shown.splitlines())) < 200


def test_machines_get_all_of_it() -> None:
    ways = json.loads(_explain("rows.json", "--output", "json").stdout)

    assert len(ways) == 13
    assert ways[4] == {
        "surface": "TorchServe",
        "path": "/predictions/MODEL",
        "service_envelope": "",
        "content_type": "application/json",
        "body": '{"instances":  [[1, 2.5]]}',
        "data": "[{'body': {'instances': [[1, 2.5]]}}]",
        "refusal": "",
        "note": "",
    }


def test_programs_may_have_it_as_yaml() -> None:
    result = _explain("rows.json", "--output", "yaml")

    assert result.exit_code == 0
    assert result.stdout.startswith("- surface: ")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        pytest.param("gone.json", "request 'gone.json' does not exist", id="missing"),
        pytest.param("empty.json", "request 'empty.json' is empty", id="empty"),
        pytest.param(".", "request '.' is no file", id="a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(file: str, said: str) -> None:
    result = _explain(file)

    assert isinstance(result.exception, HomeportError)
    assert said in str(result.exception)


def test_without_a_request_the_archive_is_wanted() -> None:
    result = CliRunner().invoke(check, [])

    assert result.exit_code == 2
    assert "Missing argument 'ARCHIVE'" in result.output
