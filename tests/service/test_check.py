"""A check runs the worker that serves: each stage fails for its one cause."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

import elsewhere
from homeport.archive import mar
from homeport.archive.golden import Golden
from homeport.checking import preflight, report
from homeport.checking.preflight import Checker
from homeport.checking.report import Batching, Report, Stage, StageName, Verdict
from homeport.environments.build import Environments
from homeport.errors import NotFoundError
from homeport.packing import pack

pytestmark = pytest.mark.service
SOURCES = pathlib.Path(__file__).parents[1] / "archives"
ECHO = "def handle(data, context):\n    return data\n"
TWO = Golden({"instances": [{"value": 1}, {"value": 2}]}, (1, 2))
Check = Callable[..., Report]


@pytest.fixture
def check(tmp_path: pathlib.Path) -> Check:
    """Return a function that checks an archive; nothing of it is left running."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environments = Environments(tmp_path / "environments")

    def run(
        archive: pathlib.Path,
        golden: Golden | None = None,
        *,
        timeout_s: float = 30.0,
        **options: Any,
    ) -> Report:
        laid_out = tmp_path / "laid-out"

        def read() -> pathlib.Path:
            mar.extract(archive, laid_out)
            return laid_out

        settings = preflight.Options(
            timeout_s=timeout_s, on_predictions=options.pop("keep", print)
        )
        checker = Checker(environments, scratch, settings)
        found = checker.check(read, golden=golden, **options)
        assert list(scratch.iterdir()) == []
        assert report.from_json(report.to_json(found)) == found
        return found

    return run


def packed(name: str, folder: pathlib.Path, **spec: Any) -> pathlib.Path:
    (handler,) = (SOURCES / name).glob("*.py")
    return pack.pack(
        pack.PackSpec(model_name=name, handler=str(handler), **spec), folder
    ).path


def failed(found: Report, name: StageName) -> Stage:
    """Return the stage that failed; those before it passed, the others never ran."""
    order = list(StageName)
    at = order.index(name)
    verdicts = [stage.verdict for stage in found.stages]
    assert found.failure is not None
    assert found.failure.name is name, found.failure
    assert Verdict.FAILED not in verdicts[:at]
    assert set(verdicts[at + 1 :]) <= {Verdict.SKIPPED}
    assert found.failure.remedy or ":" in found.failure.cause
    return found.failure


def test_an_archive_that_works_passes_every_stage(
    acting: pathlib.Path, check: Check
) -> None:
    kept: list[str] = []
    told: list[Stage] = []

    found = check(acting, TWO, keep=kept.append, on_stage=told.append)

    assert found.passed
    assert found.model_name == "acting"
    assert [stage.name for stage in found.stages] == list(StageName)
    assert tuple(told) == found.stages
    assert found.batching.verdict is Batching.PROVEN
    assert [json.loads(text) for text in kept] == [{"predictions": [1, 2]}]
    assert found.lock == ""


def test_an_archive_that_works_is_measured(acting: pathlib.Path, check: Check) -> None:
    measures = check(acting, TWO, archive_bytes=5).measures

    assert measures.archive_bytes == 5
    assert measures.unpacked_bytes is not None
    assert 1_000 < measures.unpacked_bytes < 10_000
    assert measures.peak_memory_bytes is not None
    assert 5_000_000 < measures.peak_memory_bytes < 500_000_000
    assert measures.latency_s is not None
    assert 0 < measures.latency_s < 5
    assert measures.import_s is not None
    assert measures.load_s is not None
    assert measures.environment_bytes is None


def test_the_sample_in_the_archive_is_predicted(
    archived: Callable[..., pathlib.Path], check: Check
) -> None:
    found = check(archived(ECHO, golden=Golden({"instances": [1, 2]}, (1, 2))))

    by_name = {stage.name: stage for stage in found.stages}
    assert found.passed
    assert by_name[StageName.COMPARE].detail == "2 predictions as expected"


def test_without_a_sample_nothing_is_predicted(
    acting: pathlib.Path, check: Check
) -> None:
    found = check(acting)

    by_name = {stage.name: stage.verdict for stage in found.stages}
    assert found.passed
    assert by_name[StageName.PREDICT] is Verdict.SKIPPED
    assert by_name[StageName.MEASURE] is Verdict.PASSED
    assert found.batching.verdict is Batching.UNPROVEN
    assert found.batching.reason == "there is no sample: pack or give one with --sample"


# One for each stage's failure


def test_a_broken_archive_fails_when_it_is_read(
    tmp_path: pathlib.Path, check: Check
) -> None:
    (tmp_path / "broken.mar").write_bytes(b"no zip")

    failure = failed(check(tmp_path / "broken.mar"), StageName.READ)

    assert "is not a zip file" in failure.cause


def test_a_broken_sample_fails_when_the_archive_is_read(
    tmp_path: pathlib.Path, check: Check
) -> None:
    manifest = {"model": {"modelName": "m", "handler": "handler.py"}}
    with zipfile.ZipFile(tmp_path / "m.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("handler.py", ECHO)
        archive.writestr("MAR-INF/golden.json", '{"request": {}}')

    failure = failed(check(tmp_path / "m.mar"), StageName.READ)

    assert failure.cause.startswith("MAR-INF/golden.json: the request has no list")


def test_an_archive_that_is_not_there_is_no_failed_check(
    tmp_path: pathlib.Path, check: Check
) -> None:
    with pytest.raises(NotFoundError, match=r"no archive 'none\.mar'"):
        check(tmp_path / "none.mar")


def test_an_import_that_nothing_provides_fails_before_anything_runs(
    tmp_path: pathlib.Path, check: Check
) -> None:
    source = (SOURCES / "missing_package" / "handler.py").read_text()
    archive = elsewhere.archive(tmp_path / "model.mar", {"handler.py": source})

    failure = failed(check(archive), StageName.IMPORTS)

    assert failure.cause == (
        "handler.py line 1 imports no_such_package_anywhere, which Homeport's own "
        "environment does not have"
    )
    assert "no_such_package_anywhere==VERSION" in failure.remedy


def test_an_import_that_may_never_run_is_a_warning(
    archived: Callable[..., pathlib.Path], check: Check
) -> None:
    found = check(archived(f"def plot():\n    import no_such_package\n{ECHO}"))

    assert found.passed
    assert found.warnings == (
        "handler.py line 2 imports no_such_package, which Homeport's own environment "
        "does not have: if that line ever runs, install no_such_package here, or list "
        "it in the requirements file as no_such_package==VERSION; if no_such_package "
        "is code of yours, give it with --extra-files",
    )


def test_what_loading_a_checkpoint_would_import_is_a_warning(
    tmp_path: pathlib.Path, check: Check
) -> None:
    files: dict[str, str | bytes] = {
        "handler.py": ECHO,
        "model.pkl": b"\x80\x02cfractions\nFraction\n.",
    }
    archive = elsewhere.archive(tmp_path / "model.mar", files)

    found = check(archive)

    assert found.passed
    assert found.warnings == (
        "model.pkl (pickle): loading it whole imports fractions.Fraction and can run "
        "any code; weights_only refuses it",
    )


def test_an_import_error_is_never_masked(
    archived: Callable[..., pathlib.Path], check: Check
) -> None:
    source = (
        "import importlib\n"
        "name = 'no_such_' + 'package'\n"
        "try:\n"
        "    importlib.import_module(name)\n"
        "except ImportError:\n"
        "    raise RuntimeError('No module named ts.torch_handler.handler')\n"
        f"{ECHO}"
    )

    failure = failed(check(archived(source)), StageName.IMPORT)

    assert failure.cause.startswith(
        "handler.py line 4 raised ModuleNotFoundError: No module named "
        "'no_such_package'; what it was taken for: handler.py line 6"
    )


def test_two_handlers_in_one_file_fail_the_import(
    tmp_path: pathlib.Path, check: Check
) -> None:
    failure = failed(check(packed("two_handlers", tmp_path)), StageName.IMPORT)

    assert "defines 2 classes" in failure.cause


def test_a_missing_file_fails_the_load_with_the_authors_traceback_alone(
    tmp_path: pathlib.Path, check: Check
) -> None:
    found = check(packed("missing_file", tmp_path))

    failure = failed(found, StageName.LOAD)
    assert failure.cause.startswith("handler.py line 8 raised FileNotFoundError")
    assert "--extra-files" in failure.remedy
    assert failure.traceback.count('File "') == 1
    assert 'File "handler.py", line 8, in initialize' in failure.traceback


@pytest.mark.parametrize(
    ("on_load", "cause"),
    [
        ("exit", "the worker process exited with code 3 while it loaded the model"),
        ("sleep", "loading the model did not end within 3 s"),
    ],
)
def test_a_handler_that_does_not_load_is_told_from_one_that_fails_to_import(
    acting: pathlib.Path, check: Check, on_load: str, cause: str
) -> None:
    found = check(acting, timeout_s=3, environment={"ON_LOAD": on_load})

    failure = failed(found, StageName.LOAD)
    # A value of the environment, as "exit" is one, is not told of what the handler
    # says; this is what Homeport says.
    assert failure.cause == cause


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param(
            {"do": "raise", "value": "too small"},
            ["handler.py line 34 raised ValueError: too small"],
            id="raises",
        ),
        pytest.param(
            {"do": "refuse"}, ["PredictionException: no such user"], id="refuses"
        ),
        pytest.param({"too_many": 1}, ["returned 2 results for 1"], id="too many"),
        pytest.param(
            {"do": "exit", "value": 4},
            ["exited with code 4 while it predicted the sample"],
            id="exits",
        ),
        pytest.param({"do": "kill"}, ["was killed by SIGKILL while"], id="is killed"),
        pytest.param(
            {"do": "sleep", "value": 3600},
            ["predicting the sample did not end within 3 s"],
            id="hangs",
        ),
    ],
)
def test_a_handler_that_fails_fails_the_prediction(
    acting: pathlib.Path, check: Check, row: dict[str, Any], words: list[str]
) -> None:
    found = check(acting, Golden({"instances": [row]}), timeout_s=3)

    failure = failed(found, StageName.PREDICT)
    assert [word for word in words if word not in failure.cause] == []


def test_a_handler_that_takes_its_rows_for_something_else_is_shown_the_way(
    acting: pathlib.Path, check: Check
) -> None:
    found = check(acting, Golden({"instances": [{"do": "raise", "value": "x"}]}))

    assert failed(found, StageName.PREDICT).remedy == (
        "Correct the code and pack the archive again. 'homeport check "
        "--explain-payload' shows what a handler receives."
    )


@pytest.mark.parametrize("do", ["object", "nan"])
def test_a_result_that_cannot_be_sent_fails_the_serialization(
    acting: pathlib.Path, check: Check, do: str
) -> None:
    found = check(acting, Golden({"instances": [{"do": do}]}, (1,)))

    failed(found, StageName.SERIALIZE)
    by_name = {stage.name: stage for stage in found.stages}
    assert by_name[StageName.PREDICT].verdict is Verdict.PASSED
    assert by_name[StageName.COMPARE].detail == "the result is no JSON"


def test_another_prediction_than_the_expected_fails_the_comparison(
    acting: pathlib.Path, check: Check
) -> None:
    kept: list[str] = []
    golden = Golden({"instances": [{"value": {"label": "cat"}}]}, ({"label": "dog"},))

    failure = failed(check(acting, golden, keep=kept.append), StageName.COMPARE)

    assert failure.cause == ('predictions[0].label is "cat" where "dog" was expected')
    assert json.loads(kept[0]) == {"predictions": [{"label": "cat"}]}


def test_a_batching_archive_that_mixes_requests_fails(
    tmp_path: pathlib.Path, check: Check
) -> None:
    (model,) = (SOURCES / "batched").glob("*.yaml")
    source = "def handle(data, context):\n    return data and sorted(data)\n"
    handler = tmp_path / "handler.py"
    handler.write_text(source)
    spec = pack.PackSpec(model_name="m", handler=str(handler), config_file=model)

    found = check(pack.pack(spec, tmp_path).path, Golden({"instances": [2, 1]}))

    failure = failed(found, StageName.BATCH)
    assert failure.cause.startswith("the archive's batchSize is 4, and two requests")
    assert found.batching.verdict is Batching.REFUTED


def test_the_archives_own_time_limit_holds(
    archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path, check: Check
) -> None:
    config = tmp_path / "model-config.yaml"
    config.write_text("responseTimeout: 1\n")
    source = "import time\n" + ECHO.replace("return", "data and time.sleep(60); return")

    found = check(archived(source, config_file=config), TWO)

    failure = failed(found, StageName.PREDICT)
    assert failure.cause == (
        "predicting the sample did not end within 1 s (responseTimeout in "
        "model-config.yaml)"
    )


def test_a_handler_that_answers_once_fails_when_it_is_measured(
    archived: Callable[..., pathlib.Path], check: Check
) -> None:
    source = (
        "calls = []\n"
        "def handle(data, context):\n"
        "    calls.append(data)\n"
        "    if len(calls) > 2:\n"
        "        raise ValueError('only once')\n"
        "    return data\n"
    )

    found = check(archived(source), Golden({"instances": ["a"]}))

    failure = failed(found, StageName.MEASURE)
    assert failure.cause == (
        "the sample was answered once, and then failed: "
        "the handler raised ValueError: only once"
    )


@pytest.mark.parametrize(
    "lie",
    [
        {"predictions": []},
        {"predictions": ["no JSON"]},
        {"predictions": ["{}"]},
        {"predictions": ["[" * 5000]},
        {"handler_s": float("nan")},
        {"failed_in": "nowhere"},
    ],
    ids=str,
)
def test_a_handler_that_speaks_for_its_worker_is_not_believed(
    archived: Callable[..., pathlib.Path], check: Check, lie: dict[str, Any]
) -> None:
    source = (
        "import json, os, struct, sys\n"
        "nan = float('nan')\n"
        "said = {'failed_in': None, 'cause': '', 'remedy': '', 'traceback': '',\n"
        "        'predictions': ['[1]'], 'handler_s': 0.0, 'result_s': 0.0}\n"
        "def handle(data, context):\n"
        f"    text = json.dumps(said | {lie!r}).encode()\n"
        "    header = struct.pack('<IBBHQ', len(text), 13, 0, 0, 0)\n"
        "    fd = int(sys.argv[sys.argv.index('--fd') + 1])\n"
        "    data and os.write(fd, header + text)\n"
        "    return data\n"
    )

    found = check(archived(source), Golden({"instances": ["a"]}))

    failure = failed(found, StageName.PREDICT)
    assert failure.cause.startswith("the worker's ")


# Whether requests may share a call


@pytest.mark.parametrize(
    ("body", "instances", "verdict", "words"),
    [
        pytest.param("data", ["a", "b"], Batching.PROVEN, "as they are", id="by row"),
        pytest.param("data", ["a"], Batching.UNPROVEN, "has one instance", id="one"),
        pytest.param(
            "[0 for _ in data]",
            ["a", "b"],
            Batching.UNPROVEN,
            "same prediction",
            id="the same prediction",
        ),
        pytest.param("data[::-1]", ["a", "b"], Batching.REFUTED, "is", id="in reverse"),
        pytest.param(
            "[row + str(len(data)) for row in data]",
            ["a", "b"],
            Batching.REFUTED,
            'is "a2" where "a1" was expected',
            id="counts them",
        ),
        pytest.param(
            "[next(count) for _ in data]",
            ["a", "b"],
            Batching.UNPROVEN,
            "otherwise each time",
            id="random",
        ),
    ],
)
def test_requests_are_predicted_apart_and_together(
    archived: Callable[..., pathlib.Path],
    check: Check,
    body: str,
    instances: list[str],
    verdict: Batching,
    words: str,
) -> None:
    source = (
        "import itertools\n"
        "count = itertools.count()\n"
        "def handle(data, context):\n"
        f"    return data and {body}\n"
    )

    found = check(archived(source), Golden({"instances": instances}))

    assert found.passed
    assert found.batching.verdict is verdict
    assert words in found.batching.reason


def test_a_call_that_fails_with_two_requests_is_not_split(
    archived: Callable[..., pathlib.Path], check: Check
) -> None:
    source = (
        "def handle(data, context):\n"
        "    if data and len(context.request_ids) > 1:\n"
        "        raise ValueError('one at a time')\n"
        "    return data\n"
    )

    (config,) = (SOURCES / "batched").glob("*.yaml")

    found = check(
        archived(source, config_file=config), Golden({"instances": ["a", "b"]})
    )

    assert found.passed
    assert found.batching.verdict is Batching.REFUTED
    assert "a call with two requests fails" in found.batching.reason
    assert [one[:31] for one in found.warnings] == ["the archive's batchSize is 4, a"]


@pytest.mark.parametrize("name", list(StageName)[4:])
def test_whoever_watches_may_end_a_check_at_any_stage(
    acting: pathlib.Path,
    check: Check,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
    name: StageName,
) -> None:
    def end(stage: Stage) -> None:
        if stage.name is name:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        check(acting, TWO, on_stage=end)

    assert list((tmp_path / "scratch").iterdir()) == []
    assert caplog.records == []


def test_no_verdict_tells_the_values_of_the_environment(
    archived: Callable[..., pathlib.Path], check: Check
) -> None:
    source = (
        "import os\n"
        "def handle(data, context):\n"
        "    if data and len(context.request_ids) > 1:\n"
        "        raise ValueError(os.environ['TOKEN'])\n"
        "    return data\n"
    )
    golden = Golden({"instances": ["a", "b"]})

    found = check(archived(source), golden, environment={"TOKEN": "hunter22"})

    assert "ValueError: [TOKEN]" in found.batching.reason
    assert "hunter22" not in report.to_json(found)


def test_a_check_runs_in_any_thread(acting: pathlib.Path, check: Check) -> None:
    found: list[Report] = []
    thread = threading.Thread(target=lambda: found.append(check(acting, TWO)))

    thread.start()
    thread.join(30)

    assert [one.passed for one in found] == [True]


# The command


def homeport(*words: object, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_passes_and_keeps_the_predictions(
    acting: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "sample.json").write_text('{"instances": [{"value": 1}]}')
    options = ["--sample", "sample.json", "--save-predictions", "expected.json"]

    first = homeport("check", acting, *options, cwd=tmp_path)
    again = homeport(
        *("check", acting, "--sample", "sample.json", "--expected", "expected.json"),
        cwd=tmp_path,
    )

    assert first.returncode == 0, first.stderr
    assert json.loads((tmp_path / "expected.json").read_text()) == {"predictions": [1]}
    assert again.returncode == 0, again.stderr
    assert "1 prediction as expected" in again.stdout
    assert again.stdout.splitlines()[-1] == "passed"


def test_the_command_says_that_without_a_sample_nothing_was_predicted(
    acting: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    ended = homeport("check", acting, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == (
        "passed, as far as loading goes: nothing was predicted, there was no sample"
    )


def test_a_place_for_the_predictions_that_is_not_there_is_told_before_the_check(
    acting: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    ended = homeport("check", acting, "--save-predictions", "no/e.json", cwd=tmp_path)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "cannot write 'no/e.json', as its folder does not exist" in ended.stderr


def test_the_command_tells_a_failure_and_exits_with_3(
    acting: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "sample.json").write_text('{"instances": [{"do": "raise"}]}')

    ended = homeport("check", acting, "--sample", "sample.json", cwd=tmp_path)

    assert ended.returncode == 3
    assert "predict failed\nhandler.py line 34 raised ValueError" in ended.stdout
    assert "What to do: Correct the code" in ended.stdout


def test_the_command_prints_a_report_for_programs(
    acting: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    ended = homeport("check", acting, "--output=json", cwd=tmp_path)

    assert ended.returncode == 0
    assert report.from_json(ended.stdout).model_name == "acting"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param(["none.mar"], 1, "there is no archive 'none.mar'", id="no file"),
        pytest.param(["m.mar", "--sample", "none"], 1, "sample 'none'", id="no sample"),
        pytest.param(
            ["m.mar", "--expected", "m.json"],
            1,
            "m.mar holds no sample",
            id="no golden",
        ),
        pytest.param(["m.mar", "--timeout", "0"], 2, "--timeout", id="no time"),
        pytest.param(["m.mar", "--env", "1=2"], 2, "a name has letters", id="name"),
        pytest.param(
            ["m.mar", "--environment", "locked"],
            3,
            "the archive has no requirements",
            id="nothing to lock",
        ),
    ],
)
def test_the_exit_code_tells_a_mistake_from_a_failed_archive(
    acting: pathlib.Path, tmp_path: pathlib.Path, words: list[str], code: int, told: str
) -> None:
    (tmp_path / "m.mar").write_bytes(acting.read_bytes())
    (tmp_path / "m.json").write_text("[1]")

    ended = homeport("check", *words, cwd=tmp_path)

    assert ended.returncode == code
    assert told in ended.stdout + ended.stderr


def test_the_archives_own_sample_is_compared_with_another_output(
    archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    archive = archived(ECHO, golden=Golden({"instances": [1]}, (1,)))
    (tmp_path / "expected.json").write_text("[2]")

    own = homeport("check", archive, cwd=tmp_path)
    other = homeport("check", archive, "--expected", "expected.json", cwd=tmp_path)

    assert own.returncode == 0
    assert other.returncode == 3
    assert "predictions[0] is 1 where 2 was expected" in other.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_leaves_nothing(
    acting: pathlib.Path, tmp_path: pathlib.Path, number: int
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "sample.json").write_text(
        '{"instances": [{"do": "sleep", "value": 3600}]}'
    )
    process = subprocess.Popen(  # noqa: S603  # our own command
        [
            *(sys.executable, "-m", "homeport", "check", str(acting)),
            *("--sample", "sample.json"),
        ],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("load model"):
            break
    worker = children_of(process.pid)

    process.send_signal(number)

    assert process.wait(10) != 0
    process.stdout.close()
    assert len(worker) == 1
    assert until_gone(worker[0])
    assert list(temporary.iterdir()) == []


def children_of(pid: int) -> list[int]:
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while pathlib.Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not pathlib.Path(f"/proc/{pid}").exists()
