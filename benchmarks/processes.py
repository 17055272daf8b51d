"""Child processes that are always ended, their CPU time, and plain HTTP to them."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

START_S = 180.0
END_S = 20.0
SETTLE_S = 60.0
SAMPLE_S = 0.2
# An idle JVM and the polling of supervisors stay below this, all together.
IDLE_CORES = 0.1
TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(slots=True)
class Server:
    """A server process of ours with everything it starts.

    Attributes:
        popen: The process, leader of its own group.
        log: File that takes its output.
    """

    popen: subprocess.Popen[bytes]
    log: pathlib.Path

    def wait_until_ready(self, url: str) -> None:
        """Return when `url` answers 200.

        Raises:
            RuntimeError: The process ended, or START_S went by; with its log's end.
        """
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                break
            # Refused, reset and 503 all mean: not yet.
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=5).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"{url} did not become ready; its log ends:\n{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def end(self) -> None:
        """Ask it to end, wait, then kill whatever it left behind."""
        family = descendants(self.popen.pid)
        with contextlib.suppress(ProcessLookupError):
            self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        # Those that moved to a group of their own, unless the id is another's now.
        for pid, started in family.items():
            if _started(pid) == started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.popen.wait()


def start(
    command: Sequence[str],
    home: pathlib.Path,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start a server in `home`, its output in `home/server.log`."""
    log = home / "server.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            cwd=home,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(popen, log)


def end_on_terminate() -> None:
    """Let SIGTERM unwind this program as Ctrl-C does, so that servers are ended."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def request(
    method: str, url: str, body: bytes | None = None, *, content_type: str | None = None
) -> Json:
    """Return the JSON object that `url` answers; {} for an empty answer.

    Raises:
        RuntimeError: The answer is an error; with its text.
    """
    headers = {"Content-Type": content_type} if content_type else {}
    call = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(call, timeout=START_S) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise RuntimeError(f"{method} {url}: {error.code} {text}") from error
    parsed: Json = json.loads(answer) if answer.strip() else {}
    return parsed


def descendants(pid: int) -> dict[int, int]:
    """Return the ids of all processes below `pid`, with their start times."""
    parents = {child: _stat(child) for child in _pids()}
    found: dict[int, int] = {}
    front = {pid}
    while front:
        front = {
            child
            for child, fields in parents.items()
            if fields and int(fields[1]) in front and child not in found
        }
        found.update({child: int(parents[child][19]) for child in front})
    return found


def own_s() -> float:
    """Return CPU seconds used so far by this process and all below it."""
    ticks = 0
    for pid in (os.getpid(), *descendants(os.getpid())):
        # utime, stime, cutime and cstime of proc(5).
        ticks += sum(int(value) for value in _stat(pid)[11:15])
    return ticks / TICKS_S


def settle() -> None:
    """Return once this process and all below it have nothing left to do.

    Raises:
        RuntimeError: They are still at work after SETTLE_S.
    """
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        before = own_s()
        time.sleep(SAMPLE_S)
        if own_s() - before <= IDLE_CORES * SAMPLE_S:
            return
    raise RuntimeError(
        f"a server is still busy {SETTLE_S:.0f} s after its last request"
    )


def busy_s() -> float:
    """Return CPU seconds used so far by all processes of this machine."""
    with pathlib.Path("/proc/stat").open() as stat:
        values = [int(value) for value in stat.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = values
    return (user + nice + system + irq + softirq) / TICKS_S


def _pids() -> list[int]:
    entries = pathlib.Path("/proc").iterdir()
    return [int(entry.name) for entry in entries if entry.name.isdigit()]


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of proc(5)'s stat from the state on; [] once it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
