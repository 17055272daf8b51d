"""A server that is killed again and again, and what a client was told by it."""

import contextlib
import json
import multiprocessing
import pathlib
import random
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

import httpx

import mortal
from homeport import maintenance, opening
from homeport.archive import extents
from homeport.metadata import blob_rows, skeleton_rows
from homeport.metadata.database import Database
from homeport.objects.addresses import StoreAddress
from homeport.objects.stores import Store
from homeport.settings import Settings
from servers import PARENT, wait_until

START_S = 150.0
NEVER = 1_000_000
MOST = 5
JOBS = f"/v1/{PARENT}/batchPredictionJobs"
OUTPUT = "out/"
BUCKET = "/storage/v1/b/models"
UPLOAD = "/upload/storage/v1/b/models/o"

MIB = 1 << 20
_Target = Callable[[Settings, pathlib.Path, Any, Mapping[str, str]], None]


class DiedError(Exception):
    """The server went before it answered."""


class Storm:
    """One data directory, the server on it, and all that a client knows of it.

    Args:
        folder: For the data directory and what the server prints.
        seed: Of the bytes that are sent.
        variables: Of the server's environment.
        where: Settings that say where rows and bytes are, if not in the directory.

    Attributes:
        kept: What the bucket holds: the bytes by the object's name.
        doubtful: Objects whose last write was not answered -> what may be there.
        operations: Registrations that were promised -> the model's id.
        models: Whether the model of an id is there, None if that was not answered.
        jobs: Batch predictions that were created -> the lines of their results.
        unfinished: What is to be done once the server is back.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        seed: int,
        variables: Mapping[str, str],
        **where: Any,
    ) -> None:
        self.settings = Settings(
            folder / "data", port=0, check_policy="none", access_log=False, **where
        )
        self._variables = dict(variables)
        # What is shorter stays in the archive that it is in.
        self.part_bytes = MIB if self.settings.blob_store else extents.MIN_PART_BYTES
        self.kept: dict[str, bytes] = {}
        self.doubtful: dict[str, set[bytes | None]] = {}
        self.operations: dict[str, str] = {}
        self.models: dict[str, bool | None] = {}
        self.jobs: dict[str, list[Any]] = {}
        self.unfinished: list[Callable[[], None]] = []
        self.names = 0
        self._folder = folder
        self._random = random.Random(seed)  # noqa: S311  # bytes of no secret
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["homeport.wiring"])
        self._process: ForkServerProcess | None = None
        self._client = httpx.Client()

    # --- the process

    def start(self) -> bool:
        """Start the server; tell whether it lived to answer."""
        self._client.close()
        told = self._begin(mortal.serve)
        with told:
            assert told.poll(START_S), self.log()
            try:
                url = told.recv()
            except EOFError:
                return False
        self._client = httpx.Client(base_url=url, timeout=START_S)
        return True

    def collect_garbage(self) -> None:
        """Run `homeport gc` to its end, or to its death."""
        told = self._begin(mortal.collect_garbage)
        with told, contextlib.suppress(EOFError):
            told.recv()
        self._ended()

    def end(self) -> None:
        """Kill the server, or stop it where its place would last for a while."""
        if self._process is not None and self.settings.database_url:
            self._process.terminate()
            self._ended()
        self.kill()

    def kill(self) -> None:
        """Kill the server, if it is not dead by now."""
        if self._process is not None:
            self._process.kill()
            self._ended()
        self._disarm()

    def close(self) -> None:
        """End everything."""
        self.kill()
        self._client.close()

    def is_dead(self) -> bool:
        """Tell whether the server has died by itself."""
        return self._process is None or self._process.exitcode is not None

    def wait_until_divided(self) -> None:
        """Wait until every archive lies as its pieces, or the server is dead.

        A server divides what it finds when it starts, and every few seconds.
        """
        url = f"sqlite:///{self.settings.data_dir / 'homeport.db'}"
        with contextlib.closing(Database(self.settings.database_url or url)) as rows:
            blobs = opening.blobs_beside_a_server(self.settings)

            def divided() -> bool:
                with rows.snapshot() as transaction:
                    left = skeleton_rows.next_to_divide(
                        transaction, after="", min_bytes=self.part_bytes
                    )
                    wholes = set(blob_rows.all_divided(transaction))
                # In a bucket what a killed server has left is let be for a day.
                gone = self.settings.blob_store or wholes.isdisjoint(blobs.iterate())
                return left is None and bool(gone)

            wait_until(lambda: self.is_dead() or divided(), START_S)

    def arm(self, at: int) -> None:
        """Let the server die at a step from now on, the first is 1."""
        partial = self._folder / "at.partial"
        partial.write_text(str(at))
        partial.replace(self._folder / "at")

    def passed(self) -> list[str]:
        """Return the steps since it was armed."""
        passed = self._folder / "passed"
        return passed.read_text().splitlines() if passed.exists() else []

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def _begin(self, target: _Target) -> Any:
        told, tells = self._context.Pipe(duplex=False)
        self._process = self._context.Process(
            target=target,
            args=(self.settings, self._folder, tells, self._variables),
        )
        self._process.start()
        tells.close()
        return told

    def _ended(self) -> None:
        assert self._process is not None
        self._process.join(START_S)
        assert self._process.exitcode is not None
        self._process.close()
        self._process = None

    def _disarm(self) -> None:
        for name in ("at", "passed"):
            (self._folder / name).unlink(missing_ok=True)

    # --- requests

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer to a request.

        Raises:
            DiedError: There was none.
        """
        try:
            answer = self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise DiedError from error
        assert answer.status_code < 500, answer.text
        return answer

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer to a request that succeeds."""
        answer = self.ask(method, path, **request)
        assert answer.is_success or answer.status_code == 308, answer.text
        return answer

    @contextlib.contextmanager
    def writing(self, name: str, content: bytes | None) -> Iterator[None]:
        """Note that an object is this from here on, or may be if nobody answers."""
        before = self.kept.get(name)
        self.doubtful[name] = {before, content}
        yield
        del self.doubtful[name]
        self._note(name, content)

    def name(self) -> str:
        """Return a name that no object has had."""
        self.names += 1
        return f"o{self.names}"

    def random_bytes(self, size: int) -> bytes:
        """Return bytes that nobody has sent before."""
        return self._random.randbytes(size)

    def stored(self, size: int = 300_000) -> str:
        """Return the name of a new object."""
        name, content = self.name(), self.random_bytes(size)
        with self.writing(name, content):
            self.upload(name, content)
        return name

    def upload(self, name: str, content: bytes) -> None:
        self.call(
            "POST",
            UPLOAD,
            params={"uploadType": "media", "name": name},
            content=content,
        )

    def delete(self, name: str) -> None:
        with self.writing(name, None):
            self.call("DELETE", f"{BUCKET}/o/{name}")

    def register(self, name: str) -> str:
        """Register an object as a model; return the model's id when that ended."""
        self.names += 1
        model = f"m{self.names}"
        self.models[model] = None
        document = {
            "modelId": model,
            "model": {"displayName": model, "artifactUri": f"gs://models/{name}"},
        }
        begun = self.call("POST", f"/v1/{PARENT}/models:upload", json=document).json()
        self.operations[begun["name"]] = model
        self.settle(begun["name"])
        return model

    def settle(self, operation: str) -> None:
        """Wait for an operation, and note whether its model is there."""
        seen: dict[str, Any] = {}

        def ended() -> bool:
            seen.update(self.call("GET", f"/v1/{operation}").json())
            return bool(seen.get("done"))

        wait_until(ended, START_S)
        if "error" in seen:
            assert "send the request again" in seen["error"]["message"], seen
        self.models[self.operations.pop(operation)] = "response" in seen

    def delete_model(self, model: str) -> None:
        self.models[model] = None
        begun = self.call("DELETE", f"/v1/{PARENT}/models/{model}").json()
        wait_until(
            lambda: bool(self.call("GET", f"/v1/{begun['name']}").json().get("done")),
            START_S,
        )
        self.models[model] = False

    def predict_batch(self, model: str, name: str, lines: list[Any]) -> str:
        """Create a batch prediction of an object's rows; return the job's name."""
        document = {
            "displayName": name,
            "model": f"{PARENT}/models/{model}",
            "inputConfig": {
                "instancesFormat": "jsonl",
                "gcsSource": {"uris": [f"gs://models/{name}"]},
            },
            "outputConfig": {
                "predictionsFormat": "jsonl",
                "gcsDestination": {"outputUriPrefix": f"gs://models/{OUTPUT}{name}"},
            },
        }
        job = str(self.call("POST", JOBS, json=document).json()["name"])
        self.jobs[job] = lines
        return job

    def settle_job(self, job: str) -> None:
        """Wait for a job, and see that it has each of its lines once."""
        seen = self._ended_job(job)
        assert seen["state"] == "JOB_STATE_SUCCEEDED", seen
        folder = seen["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://models/")
        errors, results = self._listed(f"{folder.rpartition('/')[0]}/")
        assert errors.startswith(f"{folder}/prediction.errors_stats-")
        assert self._content(errors) == b""
        lines = (self._content(results) or b"").splitlines()
        assert [json.loads(line) for line in lines] == self.jobs.pop(job)

    def _ended_job(self, job: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def ended() -> bool:
            seen.update(self.call("GET", f"/v1/{job}").json())
            return "endTime" in seen

        wait_until(ended, START_S)
        return seen

    def _listed(self, prefix: str) -> list[str]:
        page = self.call("GET", f"{BUCKET}/o", params={"prefix": prefix}).json()
        return [str(item["name"]) for item in page.get("items", [])]

    def _jobs(self) -> list[str]:
        page = self.call("GET", JOBS).json()
        return [str(job["name"]) for job in page.get("batchPredictionJobs", [])]

    # --- what must hold

    def check_promises(self) -> None:
        """Compare the server that is back with what the client was told."""
        for operation in list(self.operations):
            self.settle(operation)
        self._check_jobs()
        for model in self.models:
            self._check_model(model)
        for finish in self.unfinished:
            finish()
        self.unfinished.clear()
        for name, possible in self.doubtful.items():
            found = self._content(name)
            assert found in possible, f"{name} is neither as it was nor as it was sent"
            self._note(name, found)
        self.doubtful.clear()
        listed = [
            item
            for item in self.call("GET", f"{BUCKET}/o").json().get("items", [])
            if not item["name"].startswith(OUTPUT)
        ]
        assert {item["name"] for item in listed} == set(self.kept)
        for item in listed:
            content = self.kept[item["name"]]
            assert int(item["size"]) == len(content)
            assert self._content(item["name"]) == content

    def tidy(self) -> None:
        """Take some away, so that a check does not get longer and longer."""
        for name in list(self.kept)[MOST:]:
            self.delete(name)
        for job in self._jobs():
            self.call("DELETE", f"/v1/{job}")
        for name in self._listed(OUTPUT):
            self.call("DELETE", f"{BUCKET}/o/{_quoted(name)}")
        for model in [model for model, there in self.models.items() if there][MOST:]:
            self.delete_model(model)
        for model in [model for model, there in self.models.items() if not there]:
            del self.models[model]

    def check_disk(self) -> None:
        """See that a stopped server has all it needs, and nothing else."""
        if self.settings.blob_store:
            self._let_a_day_pass(self.settings.blob_store)
        faults = [one for one in maintenance.verify(self.settings) if one.fault]
        assert not faults
        assert (
            maintenance.collect_garbage(self.settings, dry_run=True)
            == maintenance.Garbage()
        )

    def check_leftovers(self) -> None:
        """See that nothing half-written outlived the start."""
        blobs = self.settings.data_dir / "blobs"
        in_parts = "parts/*" if self.settings.blob_store else "parts/.receiving/*"
        receiving = [*blobs.glob("partial/*"), *blobs.glob(in_parts)]
        # What a job goes on to write is no leftover: it is done soon.
        assert not receiving or self._jobs()

    def _let_a_day_pass(self, blob_store: str) -> None:
        """Remove from the bucket what is let be there until others are surely done."""
        address = StoreAddress.parse(blob_store)
        store = opening.reach(self.settings).store(address)
        for doom in list(store.iterate("doomed/")):
            store.delete(doom.key)
        mortal.sweep(self.settings)
        assert _digests(store, "written/") == _digests(store, "sha256/")

    def _content(self, name: str) -> bytes | None:
        answer = self.ask("GET", f"{BUCKET}/o/{_quoted(name)}?alt=media")
        if answer.status_code == 404:
            return None
        assert answer.is_success, answer.text
        return answer.content

    def _check_jobs(self) -> None:
        """See each job to its end, those that nobody was told of too."""
        for job in list(self.jobs):
            self.settle_job(job)
        for job in self._jobs():
            self._ended_job(job)
        spools = self.settings.data_dir / "jobs"
        wait_until(lambda: not spools.exists() or not list(spools.iterdir()), START_S)

    def _check_model(self, model: str) -> None:
        there = self.ask("GET", f"/v1/{PARENT}/models/{model}").status_code == 200
        expected = self.models[model]
        assert expected in {None, there}, model
        self.models[model] = there

    def _note(self, name: str, content: bytes | None) -> None:
        if content is None:
            self.kept.pop(name, None)
        else:
            self.kept[name] = content


def _digests(store: Store, folder: str) -> set[str]:
    return {stat.key.rpartition("/")[2] for stat in store.iterate(folder)}


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
