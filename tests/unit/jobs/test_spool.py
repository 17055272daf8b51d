"""What a job has done survives whatever happens to the server; half lines do not."""

import datetime as dt
import pathlib

import pytest

from homeport.errors import Code
from homeport.jobs.files import InputFile
from homeport.jobs.spool import Position, Spool
from homeport.resources.batch_job import Tally
from homeport.resources.operation import Failure
from rooms import T0

FILES = [InputFile("b", "one.jsonl", 3), InputFile("b", "two.jsonl", 4)]
TALLY = Tally(2, 1, failures=(Failure(Code.INTERNAL, "boom"),))


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "jobs" / "7"


def test_a_job_that_never_ran_has_nothing_to_go_on_with(
    directory: pathlib.Path,
) -> None:
    assert Spool(directory).found() is None


def test_a_job_goes_on_from_what_was_kept(directory: pathlib.Path) -> None:
    spool = Spool(directory)
    spool.begin(FILES)
    spool.write(b"1\n2\n", b"e\n")
    spool.keep(1, 17, TALLY)
    spool.write(b"3\nhal", b"f")
    spool.close()

    again = Spool(directory)
    found = again.found()
    again.write(b"4\n", b"g\n")
    again.keep(2, 0, TALLY)
    again.close()

    assert found == (FILES, Position(1, 17, 4, 2, TALLY))
    results, errors = spool.paths
    assert results.read_bytes() == b"1\n2\n4\n"
    assert errors.read_bytes() == b"e\ng\n"


@pytest.mark.parametrize("lost", ["position.json", "inputs.json", "results", "errors"])
def test_with_a_file_lost_a_job_begins_again(
    directory: pathlib.Path, lost: str
) -> None:
    spool = Spool(directory)
    spool.begin(FILES)
    spool.write(b"1\n", b"e\n")
    spool.keep(0, 2, TALLY)
    spool.close()
    (directory / lost).unlink()

    assert Spool(directory).found() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"file": 1}'])
def test_what_is_no_position_is_nothing_to_go_on_with(
    directory: pathlib.Path, content: bytes
) -> None:
    spool = Spool(directory)
    spool.begin(FILES)
    spool.keep(0, 0, TALLY)
    spool.close()
    (directory / "position.json").write_bytes(content)

    assert Spool(directory).found() is None


def test_output_that_was_cut_short_begins_again(directory: pathlib.Path) -> None:
    spool = Spool(directory)
    spool.begin(FILES)
    spool.write(b"1\n", b"")
    spool.keep(0, 2, TALLY)
    spool.close()
    spool.paths[0].write_bytes(b"")

    assert Spool(directory).found() is None


def test_beginning_again_forgets_what_was_there(directory: pathlib.Path) -> None:
    spool = Spool(directory)
    spool.begin(FILES)
    spool.write(b"1\n", b"e\n")
    spool.keep(0, 2, TALLY)

    spool.begin(FILES[:1])
    spool.close()

    assert spool.paths[0].read_bytes() == b""
    assert not (directory / "position.json").exists()


def test_what_is_set_aside_is_kept_up_to_its_time_or_until_it_is_taken(
    directory: pathlib.Path,
) -> None:
    spool = Spool(directory)
    nothing = spool.set_aside(T0)
    spool.begin(FILES)
    unfinished = spool.set_aside(T0)
    spool.keep(0, 0, TALLY)
    spool.close()

    kept = spool.set_aside(T0)

    assert (nothing, unfinished, kept) == (False, False, True)
    assert spool.is_kept(T0 - dt.timedelta(seconds=1))
    assert not spool.is_kept(T0)
    spool.take_back()
    assert not spool.is_kept(T0 - dt.timedelta(seconds=1))


def test_nothing_is_left_of_a_job_that_has_ended(directory: pathlib.Path) -> None:
    spool = Spool(directory)
    spool.begin(FILES)

    spool.remove()
    spool.remove()

    assert not directory.exists()
