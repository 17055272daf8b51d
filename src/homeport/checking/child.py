"""One check, from inside its own process: an order in, reports out as stages end.

The order is a line of JSON on standard input, each message one on standard output. The
check ends when its input does, so that it never outlives who ordered it.
"""

import dataclasses
import json
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, Final

from homeport.checking import descendants
from homeport.checking import report as reports
from homeport.checking.preflight import Checker, Options
from homeport.checking.report import Report, Stage
from homeport.checking.trial import NOT_REACHED
from homeport.environments.build import Environments
from homeport.environments.eviction import Limits
from homeport.errors import HomeportError
from homeport.worker.sandbox import Sandbox

# As shells have it for SIGINT.
_INTERRUPTED: Final = 130
_END_GRACE_S: Final = 5.0
# What an author's exceptions say is kept with the version: they may say anything.
_MAX_TEXT: Final = 16 << 10
_MAX_WARNINGS: Final = 100


def main() -> int:
    """Carry out the order on standard input; return the exit status."""
    # Whoever started the server may have had it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = _take_stdout()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    threading.Thread(target=_end_with_input, name="end", daemon=True).start()
    with descendants.ended():
        return _carry_out(line, answers)


def _carry_out(line: bytes, answers: IO[bytes]) -> int:
    try:
        _say(answers, _check(json.loads(line), answers), ended=True)
    except HomeportError as error:
        _write(answers, {"error": {"code": int(error.code), "message": error.message}})
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _check(order: Mapping[str, Any], answers: IO[bytes]) -> Report:
    ended: list[Stage] = []

    def on_stage(stage: Stage) -> None:
        ended.append(stage)
        so_far = Report(model_name="", stages=tuple(ended), batching=NOT_REACHED)
        _say(answers, so_far, ended=False)

    allow_build = bool(order["allow_build"])
    limits = order["limits"]
    checker = Checker(
        Environments(
            pathlib.Path(order["environments_dir"]),
            allow_build=allow_build,
            limits=None if limits is None else Limits(**limits),
        ),
        pathlib.Path(order["scratch_dir"]),
        Options(
            allow_build=allow_build,
            timeout_s=order["load_timeout_s"],
            timeout_option="homeport serve --load-timeout",
            sandbox=Sandbox.from_json(order["sandbox"]),
        ),
    )
    return checker.check(
        lambda: pathlib.Path(order["model_dir"]),
        environment=order["environment"],
        server_config=order["server_config"],
        archive_bytes=order["archive_bytes"],
        on_stage=on_stage,
    )


def _take_stdout() -> IO[bytes]:
    """Return standard output, for our messages alone: prints go to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _say(answers: IO[bytes], report: Report, *, ended: bool) -> None:
    _write(answers, {"report": reports.to_json(_bounded(report)), "ended": ended})


def _bounded(report: Report) -> Report:
    """Return the report with no text too long to be kept."""
    return dataclasses.replace(
        report,
        batching=dataclasses.replace(
            report.batching, reason=_cut(report.batching.reason)
        ),
        stages=tuple(
            dataclasses.replace(
                stage,
                detail=_cut(stage.detail),
                cause=_cut(stage.cause),
                remedy=_cut(stage.remedy),
                traceback=_cut(stage.traceback),
            )
            for stage in report.stages
        ),
        warnings=tuple(_cut(one) for one in report.warnings[:_MAX_WARNINGS]),
    )


def _cut(text: str) -> str:
    """Return the text, without its middle if it is long."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]} ... {text[-half:]}"


def _write(answers: IO[bytes], message: Mapping[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


def _end_with_input() -> None:
    """Wait for the end of standard input, and end this process as Ctrl-C does."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_END_GRACE_S)
    descendants.end()
    os._exit(_INTERRUPTED)
