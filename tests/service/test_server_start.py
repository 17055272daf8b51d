"""A server loads what it serves with, and the collector leaves alone what stays."""

import pathlib
import subprocess
import sys

# What only some servers need, or none, or what runs in other processes.
NEEDLESS = {
    "alembic",
    "homeport.client",
    "homeport.pipelines",
    "httpx",
    "numpy",
    "psycopg",
    "sqlalchemy.dialects.postgresql",
    "torch",
}
SERVES = """
import gc
import os
import pathlib
import signal
import sys

from homeport.cli import serve
from homeport import wiring
from homeport.settings import Settings


def tell(urls):
    print(*sys.modules)
    print(len(gc.get_objects()))
    os.kill(os.getpid(), signal.SIGTERM)


wiring.serve(Settings(data_dir=pathlib.Path(sys.argv[1]), port=0), tell)
"""


def served(data_dir: pathlib.Path) -> tuple[set[str], int]:
    """Return which modules a server has that answers, and how many objects.

    The objects are those that a collection of all looks at.
    """
    ended = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", SERVES, str(data_dir)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    modules, objects = ended.stdout.splitlines()
    return set(modules.split()), int(objects)


def test_a_server_that_starts_again_loads_nothing_needless(
    tmp_path: pathlib.Path,
) -> None:
    served(tmp_path)

    modules, _ = served(tmp_path)

    assert modules & NEEDLESS == set()


def test_requests_do_not_wait_while_the_collector_looks_at_what_stays(
    tmp_path: pathlib.Path,
) -> None:
    _, objects = served(tmp_path)

    # Of some 150,000.
    assert objects < 15_000
