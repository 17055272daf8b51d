"""The registries that are compared, Homeport's and MLflow's, filled in bulk.

Model `n` has three versions; the second is "production", the third the default. Team
and alias are shared by `SHARED` models each, so that a page is full at every size.
"""

import dataclasses
import datetime as dt
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import processes
import sqlalchemy as sa
from environment import Environment

from homeport.metadata import tables
from homeport.metadata.database import Database

PLACE = {"project": "bench", "location": "us-central1"}
PARENT = "projects/bench/locations/us-central1"
VERSIONS = (1, 2, 3)
SHARED = 100
PAGE = 100
BATCH = 5000
MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
IMAGE = "registry.example.com/team/model:3"

Row = Mapping[str, Any]


class Registry(Protocol):
    """A server of one database with so many models."""

    name: str
    models: int
    address: str

    def start(self) -> None:
        """Fill the database, start the server and return once it answers."""

    def paths(self, number: int) -> Mapping[str, str]:
        """Return the request of each query for one model, as a path."""

    def end(self) -> None:
        """End the server, also when never started."""


@dataclasses.dataclass(slots=True)
class Homeport:
    """Homeport at its defaults, in the environment that runs this.

    Attributes:
        home: Directory of its own.
        url: Of an empty database.
        models: How many.
    """

    home: pathlib.Path
    url: str
    models: int
    name: str = "homeport"
    address: str = ""
    _server: processes.Server | None = None

    def start(self) -> None:
        self.home.mkdir(parents=True)
        database = Database(self.url)
        database.upgrade()
        for batch in _batches(self.models):
            with database.transaction() as transaction:
                for table, rows in _homeport_rows(batch, self.models):
                    transaction.execute(table.insert(), rows)
        database.close()
        _analyze(self.url)
        [port] = processes.free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._server = processes.start(
            [
                str(pathlib.Path(sys.executable).parent / "homeport"),
                "serve",
                *("--port", str(port)),
                *("--data-dir", str(self.home / "data")),
            ],
            self.home,
            {"HOMEPORT_SERVE_DATABASE_URL": self.url},
        )
        self._server.wait_until_ready(f"http://{self.address}/readyz")

    def paths(self, number: int) -> Mapping[str, str]:
        of_team = number % (self.models // SHARED)
        return {
            "get by alias": f"/v1/{PARENT}/models/m{number:06}@production",
            "filter by name": self._list(f'display_name="model-{number:06}"'),
            "filter by label": self._list(f"labels.team=t{of_team}"),
            "filter by alias": self._list(f"version_aliases:a{of_team}"),
        }

    def _list(self, filter_: str) -> str:
        return f"/v1/{PARENT}/models?pageSize={PAGE}&filter={quote(filter_)}"

    def end(self) -> None:
        if self._server is not None:
            self._server.end()


@dataclasses.dataclass(slots=True)
class MLflow:
    """MLflow's server with one worker, at its defaults.

    Attributes:
        home: Directory of its own.
        url: Of an empty database.
        models: How many.
        environment: Where it is installed.
    """

    home: pathlib.Path
    url: str
    models: int
    environment: Environment
    name: str = "mlflow"
    address: str = ""
    _server: processes.Server | None = None

    def start(self) -> None:
        self.home.mkdir(parents=True)
        [port] = processes.free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._server = processes.start(
            [
                *(self.environment.executable("mlflow"), "server"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                *("--backend-store-uri", self.url),
            ],
            self.home,
        )
        # It makes its tables first.
        self._server.wait_until_ready(f"http://{self.address}/health")
        engine = sa.create_engine(self.url)
        metadata = sa.MetaData()
        metadata.reflect(engine)
        for batch in _batches(self.models):
            with engine.begin() as connection:
                for table, rows in _mlflow_rows(batch, self.models):
                    connection.execute(metadata.tables[table].insert(), rows)
        engine.dispose()
        _analyze(self.url)

    def paths(self, number: int) -> Mapping[str, str]:
        of_team = number % (self.models // SHARED)
        api = "/api/2.0/mlflow/registered-models"
        name = f"model-{number:06}"
        by_tag = quote(f"tags.team='t{of_team}'")
        return {
            "get by alias": f"{api}/alias?name={name}&alias=production",
            "filter by name": f"{api}/search?max_results={PAGE}"
            f"&filter={quote(f'name={name!r}')}",
            "filter by label": f"{api}/search?max_results={PAGE}&filter={by_tag}",
        }

    def end(self) -> None:
        if self._server is not None:
            self._server.end()


def _batches(models: int) -> Iterator[range]:
    for first in range(0, models, BATCH):
        yield range(first, min(first + BATCH, models))


def _homeport_rows(
    batch: range, models: int
) -> Iterator[tuple[sa.Table, Sequence[Row]]]:
    keys = {number: {**PLACE, "model_id": f"m{number:06}"} for number in batch}
    teams = {number: f"t{number % (models // SHARED)}" for number in batch}
    times = {"create_time": MOMENT, "update_time": MOMENT}
    container = {
        "image_uri": IMAGE,
        **dict.fromkeys(("command", "args", "env", "ports", "grpc_ports"), ()),
    }
    yield (
        tables.models,
        [
            {
                **keys[number],
                **times,
                "display_name": f"model-{number:06}",
                "description": "A model of many.",
                "next_version": len(VERSIONS) + 1,
                "default_version": VERSIONS[-1],
                "shown_aliases": json.dumps([[0, "default"]]),
                "shown_labels": json.dumps([["team", teams[number]]]),
                "etag": "e",
            }
            for number in batch
        ],
    )
    yield (
        tables.model_versions,
        [
            {
                **keys[number],
                **times,
                "version_id": version,
                "description": "",
                "artifact_uri": f"gs://models/{number}/{version}",
                "container": container,
                "kept": {},
            }
            for number in batch
            for version in VERSIONS
        ],
    )
    yield (
        tables.version_labels,
        [
            {**keys[number], "version_id": version, "key": "team", "value": team}
            for number, team in teams.items()
            for version in VERSIONS
        ],
    )
    yield (
        tables.shown_labels,
        [
            {**keys[number], "key": "team", "value": team}
            for number, team in teams.items()
        ],
    )
    yield (
        tables.version_aliases,
        [
            {**keys[number], "version_id": version, "alias": alias}
            for number, team in teams.items()
            for version, alias in (
                *((3, "default"), (2, "production")),
                (1, f"a{team[1:]}"),
            )
        ],
    )


def _mlflow_rows(batch: range, models: int) -> Iterator[tuple[str, Sequence[Row]]]:
    names = {
        number: {"workspace": "default", "name": f"model-{number:06}"}
        for number in batch
    }
    teams = {number: f"t{number % (models // SHARED)}" for number in batch}
    stamp = int(MOMENT.timestamp() * 1000)
    times = {"creation_time": stamp, "last_updated_time": stamp}
    described = {"description": "A model of many."}
    yield (
        "registered_models",
        [{**names[number], **times, **described} for number in batch],
    )
    yield (
        "model_versions",
        [
            {
                **names[number],
                **times,
                "version": version,
                "current_stage": "None",
                "source": f"gs://models/{number}/{version}",
                "status": "READY",
            }
            for number in batch
            for version in VERSIONS
        ],
    )
    yield (
        "registered_model_tags",
        [
            {**names[number], "key": "team", "value": team}
            for number, team in teams.items()
        ],
    )
    yield (
        "registered_model_aliases",
        [
            {**names[number], "version": version, "alias": alias}
            for number in batch
            for version, alias in ((3, "champion"), (2, "production"))
        ],
    )


def _analyze(url: str) -> None:
    """Do for PostgreSQL what it does by itself a minute later."""
    if url.startswith("sqlite"):
        return
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()
