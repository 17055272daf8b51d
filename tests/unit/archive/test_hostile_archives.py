"""Every archive of the corpus is refused with its reason, and leaves nothing."""

import os
import pathlib

import pytest
from click.testing import CliRunner

from homeport.archive import mar, reading
from homeport.cli import main
from homeport.errors import InvalidArgumentError, PermissionDeniedError
from hostile import CASES, ZIPS, Case, tarred, zipped

_EARLY = [pytest.param(case, id=case.id) for case in ZIPS if not case.late]
_ZIPS = [pytest.param(case, id=case.id) for case in ZIPS]
_ALL = [
    pytest.param(case, id=f"{case.id}{case.suffix}") for case in CASES if not case.late
]


def _file(folder: pathlib.Path, case: Case) -> pathlib.Path:
    path = folder / f"m{case.suffix}"
    path.write_bytes(case.make())
    return path


@pytest.mark.parametrize("case", _ALL)
def test_the_reader_refuses_it_with_its_reason(
    case: Case, tmp_path: pathlib.Path
) -> None:
    path = _file(tmp_path, case)

    with pytest.raises(case.error) as caught:
        reading.check(path)

    assert case.problem in caught.value.message


@pytest.mark.parametrize("case", _ALL)
def test_inspect_says_so_in_one_line(case: Case, tmp_path: pathlib.Path) -> None:
    path = _file(tmp_path, case)

    result = CliRunner().invoke(main, ["inspect", str(path)])

    assert result.exit_code == 1
    assert case.problem in result.output
    assert len(result.output.splitlines()) == 1
    assert result.output.rstrip("\n").isprintable()


@pytest.mark.parametrize("case", _ZIPS)
def test_extraction_leaves_nothing(case: Case, tmp_path: pathlib.Path) -> None:
    path = _file(tmp_path, case)

    with pytest.raises(case.error) as caught:
        mar.extract(path, tmp_path / "out" / "m")

    assert case.problem in caught.value.message
    assert {found.name for found in tmp_path.rglob("*")} <= {path.name, "out"}


def test_what_the_corpus_is_built_from_is_good(tmp_path: pathlib.Path) -> None:
    (tmp_path / "m.mar").write_bytes(zipped(comment=b"made by hand"))
    (tmp_path / "m.tar.gz").write_bytes(tarred())

    mar.extract(tmp_path / "m.mar", tmp_path / "out")

    assert (tmp_path / "out" / "h.py").read_text().startswith("def handle")
    assert len(reading.check(tmp_path / "m.tar.gz").members) == 2


def test_a_pipe_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "m.mar")

    with pytest.raises(InvalidArgumentError, match="is a pipe or device"):
        reading.check(tmp_path / "m.mar")


def test_a_folder_whose_mar_inf_is_a_file_is_no_archive(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "MAR-INF").write_text("x")

    with pytest.raises(InvalidArgumentError, match="a folder but no model archive"):
        reading.check(tmp_path)


def test_a_folder_of_too_many_folders_is_refused(tmp_path: pathlib.Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}").mkdir()

    with pytest.raises(InvalidArgumentError, match="the limit is 10"):
        reading.check(tmp_path, mar.Limits(max_members=10))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_told(tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "m.mar"
    archive.write_bytes(zipped())
    archive.chmod(0)

    with pytest.raises(PermissionDeniedError, match="change its permissions"):
        reading.check(archive)
