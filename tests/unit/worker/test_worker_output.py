"""What a worker prints arrives as lines, and never as more than the loop can take."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
import uvloop

from homeport.worker.output import LineCutter, WorkerLog

DEADLINE_S = 60.0
NOTE = "missing here: a replica's log takes 1000 lines or 1 MiB a second"


def test_chunks_become_lines_wherever_they_are_cut() -> None:
    cutter = LineCutter()

    fed = [cutter.feed(chunk, 9) for chunk in (b"on", b"e\r\n\ntwo\nth\xff")]

    assert fed == [([], 0), (["one", "two"], 0)]
    assert cutter.end() == ["th\ufffd"]


def test_a_line_without_end_keeps_only_its_beginning() -> None:
    cutter = LineCutter()

    for _ in range(100):
        assert cutter.feed(b"x" * 65536, 9) == ([], 0)

    assert cutter.feed(b"\nnext\n", 9) == (["x" * 8192, "next"], 0)


def test_lines_over_the_limit_are_counted_whole() -> None:
    cutter = LineCutter()

    assert cutter.feed(b"a\nb\nc\nd\ne", 2) == (["a", "b"], 2)
    assert cutter.feed(b"nd\nbegun", 0) == ([], 1)
    assert cutter.feed(b" and ended\n", 1) == (["begun and ended"], 0)


def test_lines_that_come_together_are_handed_over_together() -> None:
    async def scenario() -> list[list[str]]:
        batches: list[list[str]] = []
        log, writing = WorkerLog.open(lambda lines: batches.append(list(lines)))
        os.write(writing, b"one\ntwo\nthr")
        os.write(writing, b"ee")
        os.close(writing)
        await asyncio.wait_for(log.closed, DEADLINE_S)
        return batches

    assert asyncio.run(scenario()) == [["one", "two"], ["three"]]


@pytest.mark.parametrize(
    ("chunk", "kept", "dropped"),
    [
        pytest.param(b"x\n" * 100_000, 1000, "99001 lines are", id="short"),
        pytest.param(b"\n" * 1001 + b"x\n", 0, "3 lines are", id="empty"),
        pytest.param((b"y" * 8192 + b"\n") * 200, 200, "1 line is", id="long"),
    ],
)
def test_lines_over_the_limit_are_dropped_and_told_once(
    chunk: bytes, kept: int, dropped: str
) -> None:
    async def scenario() -> list[str]:
        lines: list[str] = []
        log, writing = WorkerLog.open(lines.extend)
        log.take(chunk)
        log.take(b"late\n")
        log.close()
        os.close(writing)
        return lines

    *taken, told = asyncio.run(scenario())

    assert len(taken) == kept
    assert told == f"[homeport] {dropped} {NOTE}"


def test_the_limit_counts_anew_in_each_window() -> None:
    async def scenario() -> list[str]:
        lines: list[str] = []
        told = asyncio.Event()

        def take(taken: Sequence[str]) -> None:
            lines.extend(taken)
            if lines[-1].endswith(NOTE):
                told.set()

        reading, writing = os.pipe()
        log = WorkerLog(take, reading, window_s=0.01)
        os.write(writing, b"x\n" * 1001)
        await asyncio.wait_for(told.wait(), DEADLINE_S)
        os.write(writing, b"after\n")
        os.close(writing)
        await asyncio.wait_for(log.closed, DEADLINE_S)
        return lines

    assert asyncio.run(scenario())[1000:] == [f"[homeport] 1 line is {NOTE}", "after"]


def test_a_line_that_cannot_be_handed_over_does_not_end_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(lines: object) -> None:
        raise ValueError(f"no {lines}")

    async def scenario() -> None:
        log, writing = WorkerLog.open(refuse)
        os.write(writing, b"one\n")
        os.close(writing)
        await asyncio.wait_for(log.closed, DEADLINE_S)

    asyncio.run(scenario())

    assert "could not be handed over" in caplog.text


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_writer_without_pause_leaves_the_loop_to_others(
    run: Callable[[Awaitable[float]], float],
) -> None:
    lines: list[str] = []

    async def scenario() -> float:
        """Return the loop's share of a second of work, in seconds of its thread."""
        log, writing = WorkerLog.open(lines.extend)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                os.write(writing, b"x\n" * 30_000)
            os.close(writing)

        thread = threading.Thread(target=write)
        begin = time.thread_time()
        thread.start()
        await asyncio.sleep(0.5)
        used_s = time.thread_time() - begin
        stop.set()
        await asyncio.wait_for(log.closed, DEADLINE_S)
        await asyncio.to_thread(thread.join)
        return used_s

    used_s = run(scenario())

    assert used_s < 0.15
    assert lines[-1].endswith(NOTE)
    assert len(lines) <= 1001
