"""What replicas print is kept within bounds, and told without secrets."""

import pathlib

import pytest

from homeport.errors import FailedPreconditionError
from homeport.serving.housing import UnwellError
from homeport.serving.logs import ReplicaLog, with_last_lines
from homeport.worker.redaction import redacted
from rooms import T0

LINE = "x" * 8192


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "logs" / "7.log"


def test_lines_are_stamped_kept_and_written_at_once(path: pathlib.Path) -> None:
    log = ReplicaLog(path, lambda: T0)

    log.write(["first"])
    log.write(["zweite äöü \udc80"])

    assert log.tail(9) == [
        "2026-01-01T00:00:00.000+00:00 first",
        "2026-01-01T00:00:00.000+00:00 zweite äöü \udc80",
    ]
    assert path.read_text(errors="replace").splitlines() == [
        "2026-01-01T00:00:00.000+00:00 first",
        "2026-01-01T00:00:00.000+00:00 zweite äöü \\udc80",
    ]
    log.close()


@pytest.mark.parametrize(("asked", "first"), [(1, "999"), (3, "997"), (2000, "200")])
def test_the_tail_is_bounded(path: pathlib.Path, asked: int, first: str) -> None:
    log = ReplicaLog(path, lambda: T0)
    for number in range(1200):
        log.write([str(number - 200)])

    tail = log.tail(asked)

    assert len(tail) == min(asked, 1000)
    assert tail[0].endswith(f" {first}" if asked < 1000 else " 0")
    assert log.tail(0) == []
    log.close()


def test_a_full_file_is_put_aside_and_at_most_two_are_kept(path: pathlib.Path) -> None:
    log = ReplicaLog(path, lambda: T0)

    for _ in range(4000):
        log.write([LINE])
    log.close()

    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["7.log", "7.log.1"]
    assert 10 << 20 < files[1].stat().st_size < (10 << 20) + 2 * len(LINE)
    assert files[0].stat().st_size <= 10 << 20


def test_a_later_server_goes_on_with_the_file(path: pathlib.Path) -> None:
    for line in ("before", "after"):
        log = ReplicaLog(path, lambda: T0)
        log.write([line])
        log.close()
        log.close()

    assert [line.split()[1] for line in path.read_text().splitlines()] == [
        "before",
        "after",
    ]
    tail = ReplicaLog(path, lambda: T0).tail(5)
    assert [line.split()[1] for line in tail] == ["before", "after"]


@pytest.mark.parametrize(
    ("environment", "line", "told"),
    [
        pytest.param(
            {"TOKEN": "hunter2"}, "using hunter2!", "using [TOKEN]!", id="a value"
        ),
        pytest.param(
            {"A": "hunter2", "B": "hunter2-more"},
            "hunter2-more hunter2",
            "[B] [A]",
            id="the longest first",
        ),
        pytest.param({"DEBUG": "1"}, "1 of 10", "1 of 10", id="short values are words"),
        pytest.param({"RE": "a.*b"}, "aXXb a.*b", "aXXb [RE]", id="no pattern"),
        pytest.param(
            {"MODE": "exit"},
            "exited: exit, exit_code, \\nexit",
            "exited: [MODE], [MODE]_code, \\n[MODE]",
            id="a short word by itself",
        ),
        pytest.param(
            {"PORT": "8080"},
            "18080 or 8080s",
            "18080 or [PORT]s",
            id="a short number by itself",
        ),
        pytest.param(
            {"TOKEN": "hunter2", "KEY": "abcdefgh"},
            "xhunter2x xabcdefghx",
            "x[TOKEN]x x[KEY]x",
            id="what is no word, or long, anywhere",
        ),
        pytest.param({"EMPTY": ""}, "text", "text", id="an empty value"),
        pytest.param(
            {"KEY": "-----BEGIN\nsecret line\n"},
            "read secret line",
            "read [KEY]",
            id="a line of a value of several",
        ),
        pytest.param({}, "text", "text", id="no environment"),
    ],
)
def test_values_of_the_environment_are_not_told(
    environment: dict[str, str], line: str, told: str
) -> None:
    assert redacted([line], environment) == [told]


def test_of_a_failure_what_the_server_says_of_a_program_stays_whole(
    path: pathlib.Path,
) -> None:
    log = ReplicaLog(path, lambda: T0)
    log.write(["on 8080 with sesame, 2026"])
    environment = {"PORT": "8080", "TOKEN": "sesame", "YEAR": "2026"}
    ours = UnwellError("GET /health on port 8080 failed")
    theirs = FailedPreconditionError("the handler raised KeyError: 'sesame'")

    told = [with_last_lines(one, log, environment).message for one in (ours, theirs)]
    log.close()

    said = (
        "\nLast log lines of the replica:\n"
        "2026-01-01T00:00:00.000+00:00 on [PORT] with [TOKEN], [YEAR]"
    )
    assert told == [
        "GET /health on port 8080 failed" + said,
        "the handler raised KeyError: '[TOKEN]'" + said,
    ]


def test_the_tail_goes_on_from_an_earlier_server(path: pathlib.Path) -> None:
    earlier = ReplicaLog(path, lambda: T0)
    earlier.write(["before the restart"])
    earlier.close()

    later = ReplicaLog(path, lambda: T0)
    later.write(["after it"])
    later.close()

    assert [line.split(" ", 1)[1] for line in later.tail(10)] == [
        "before the restart",
        "after it",
    ]


def test_a_disk_that_takes_nothing_does_not_stop_the_log(
    tmp_path: pathlib.Path,
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    log = ReplicaLog(blocked / "7.log", lambda: T0)

    log.write(["still here"])

    assert log.tail(1)[0].endswith(" still here")


def test_lines_that_came_together_share_a_stamp_and_a_write(
    path: pathlib.Path,
) -> None:
    stamps = iter([T0])
    log = ReplicaLog(path, lambda: next(stamps))

    log.write([f"line {number}" for number in range(5000)])

    assert len(log.tail(2000)) == 1000
    assert log.tail(1)[0].endswith(" line 4999")
    assert len(path.read_text().splitlines()) == 5000
    log.close()


def test_a_failure_before_anything_was_printed_stands_alone(path: pathlib.Path) -> None:
    log = ReplicaLog(path, lambda: T0)
    error = FailedPreconditionError("podman has no image a:1")

    before = with_last_lines(error, log, {})
    log.write(["loading"])
    after = with_last_lines(error, log, {})
    log.close()

    assert before.message == "podman has no image a:1"
    assert after.message == (
        "podman has no image a:1\n"
        "Last log lines of the replica:\n"
        "2026-01-01T00:00:00.000+00:00 loading"
    )
