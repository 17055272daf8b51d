"""A steady load of predictions, each one noted: when, how long, and what came of it.

The load has a process of its own: what the benchmark does meanwhile is no part of the
latencies.
"""

import contextlib
import dataclasses
import http
import http.client
import multiprocessing
import multiprocessing.connection
import statistics
import threading
import time
import urllib.parse
from collections.abc import Sequence

THREADS = 4
TIMEOUT_S = 60.0
LOOK_S = 0.1
END_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request.

    Attributes:
        at_s: When it was sent, monotonic.
        took_s: Until its answer was read.
        status: HTTP's, 0 where the connection broke.
        retriable: Whether it carried an Idempotency-Key.
    """

    at_s: float
    took_s: float
    status: int
    retriable: bool

    @property
    def good(self) -> bool:
        """Whether it was answered."""
        return self.status == http.HTTPStatus.OK


def failed(answers: Sequence[Answer]) -> int:
    """Return how many were not answered."""
    return sum(not one.good for one in answers)


def median_ms(answers: Sequence[Answer]) -> float:
    return 1000 * statistics.median(one.took_s for one in answers)


def p99_ms(answers: Sequence[Answer]) -> float:
    return 1000 * sorted(one.took_s for one in answers)[len(answers) * 99 // 100]


class Load:
    """Asks one URL from several threads of another process until it is stopped.

    Args:
        url: Where to predict.
        body: What is asked.
        requests_s: All threads together, 0 for as fast as answers come.
    """

    def __init__(self, url: str, body: bytes, requests_s: float = 0.0) -> None:
        forking = multiprocessing.get_context("fork")
        self._control, self._theirs = forking.Pipe()
        self._process = forking.Process(
            target=_run,
            args=(self._theirs, self._control, url, body, requests_s),
            daemon=True,
        )
        self._answers: list[Answer] = []

    def __enter__(self) -> "Load":
        try:
            self._process.start()
            # Then its end is the end of the pipe.
            self._theirs.close()
            self._wait()
            self._control.recv()  # that it has begun
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        try:
            # Nobody wants the answers of a measurement that broke off.
            if raised is None:
                self._control.send("end")
                self._wait()
                self._answers = self._control.recv()
                self._process.join(END_S)
        finally:
            self._end()

    def _wait(self) -> None:
        """Return when the process sends something, or has ended.

        Raises:
            TimeoutError: Neither comes for longer than a request may take.
        """
        if not self._control.poll(TIMEOUT_S + END_S):
            raise TimeoutError(f"the load sent nothing for {TIMEOUT_S + END_S:g} s")

    def _end(self) -> None:
        """Kill the process if it is there, and close the pipe."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._control.close()
        self._theirs.close()

    def between(self, first_s: float, last_s: float) -> list[Answer]:
        """Return what came of the requests that were sent in a time, at the end."""
        return [one for one in self._answers if first_s <= one.at_s <= last_s]


def _run(
    control: multiprocessing.connection.Connection,
    other_end: multiprocessing.connection.Connection,
    url: str,
    body: bytes,
    requests_s: float,
) -> None:
    # A fork has both: what is read here ends only if nobody here could write it.
    other_end.close()
    clients = _Clients(url, body, requests_s)
    control.send("begun")
    # Its end, when the benchmark was killed, raises.
    control.recv()
    control.send(clients.stop(control))


class _Clients:
    """The threads that ask."""

    def __init__(self, url: str, body: bytes, requests_s: float) -> None:
        self._url = urllib.parse.urlsplit(url)
        self._body = body
        self._pause_s = THREADS / requests_s if requests_s else 0.0
        self._ends = threading.Event()
        self._answers: list[list[Answer]] = [[] for _ in range(THREADS)]
        self._threads = [
            # None outlives a process that is interrupted.
            threading.Thread(target=self._ask, args=(index,), daemon=True)
            for index in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, control: multiprocessing.connection.Connection) -> list[Answer]:
        """Return everything that came, when nobody asks any more.

        Raises:
            EOFError: Whoever wants it ended meanwhile, as `control` tells.
        """
        self._ends.set()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(LOOK_S)
                if control.poll():
                    control.recv()
        return [answer for answers in self._answers for answer in answers]

    def _ask(self, index: int) -> None:
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port, timeout=TIMEOUT_S
        )
        next_s = time.monotonic() + index * self._pause_s / THREADS
        with contextlib.closing(connection):
            while not self._ends.is_set():
                self._answers[index].append(
                    self._one(connection, len(self._answers[index]))
                )
                # One that is late does not have the others catch up at once.
                next_s = max(next_s + self._pause_s, time.monotonic() - self._pause_s)
                self._ends.wait(max(0.0, next_s - time.monotonic()))

    def _one(self, connection: http.client.HTTPConnection, number: int) -> Answer:
        retriable = number % 2 == 1
        headers = {"Content-Type": "application/json"}
        if retriable:
            headers["Idempotency-Key"] = str(number)
        began = time.monotonic()
        try:
            connection.request("POST", self._url.path, self._body, headers)
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        return Answer(began, time.monotonic() - began, status, retriable)
