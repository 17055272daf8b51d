"""Jobs end as they were told to, whoever tells them, and leave nothing behind."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
import json
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from fake_replicas import FakeRuntime
from homeport.errors import (
    Code,
    FailedPreconditionError,
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.jobs.batch_jobs import BatchJobs
from homeport.jobs.files import Files
from homeport.jobs.inputs import Inputs
from homeport.jobs.ledger import Ledger
from homeport.jobs.runner import Engine, Runner
from homeport.jobs.spool import Spool
from homeport.metadata import batch_job_rows, server_rows
from homeport.objects.addresses import StoreAddress
from homeport.objects.blobs import FileBlobs
from homeport.objects.outside import Outside
from homeport.objects.stores import Store
from homeport.registry.blob_sweep import Sweeper
from homeport.resources.batch_job import (
    BatchJob,
    BatchJobName,
    BatchJobSpec,
    InstancesFormat,
    JobState,
    PredictionsFormat,
    Tally,
)
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName
from homeport.resources.operation import Failure
from homeport.serving.accelerators import Accelerators
from homeport.serving.engines import Offer
from homeport.serving.runtime import Launch
from homeport.telemetry import Metrics
from homeport.worker.replica import Reply
from rooms import ARTIFACT, BUCKET, DEADLINE_S, PARENT, Rooms, page
from watched_blobs import WatchedBlobs

SPEC = BatchJobSpec(
    "nightly",
    ModelName(PARENT, "m"),
    InstancesFormat.JSONL,
    (f"gs://{BUCKET}/in.jsonl",),
    PredictionsFormat.JSONL,
    f"gs://{BUCKET}/out",
    batch_size=1,
)


@dataclasses.dataclass
class Office:
    """The runner of one server, its verbs, and the replicas it starts."""

    rooms: Rooms
    runtime: FakeRuntime
    runner: Runner
    verbs: BatchJobs

    async def create(self, spec: BatchJobSpec = SPEC) -> BatchJobName:
        job = await asyncio.to_thread(self.verbs.create, PARENT, spec)
        return job.name

    async def state(self, name: BatchJobName) -> JobState:
        return (await asyncio.to_thread(self.verbs.get, name)).state

    async def reaches(self, name: BatchJobName, *states: JobState) -> BatchJob:
        """Return the job when it is in one of these states."""

        async def reached() -> bool:
            return await self.state(name) in states

        await holds(reached)
        return await asyncio.to_thread(self.verbs.get, name)

    async def asked(self, count: int) -> None:
        """Wait until so many requests came."""

        async def came() -> bool:
            return sum(len(one.bodies) for one in self.runtime.replicas) >= count

        await holds(came)

    async def answers_all(self) -> None:
        """Answer whatever is asked until no job is under way."""
        parent = await asyncio.to_thread(self.verbs.list_jobs, PARENT, page())

        async def done() -> bool:
            for replica in self.runtime.replicas:
                if replica.outstanding:
                    replica.answer()
            states = [await self.state(job.name) for job in parent[0]]
            return all(state.is_final for state in states)

        await holds(done)

    async def has_spools(self, count: int) -> None:
        """Wait until so many outputs are kept."""

        async def has() -> bool:
            return len(self.spools()) == count

        await holds(has)

    def spools(self) -> list[str]:
        folder = self.rooms.directory / "jobs"
        return [path.name for path in folder.iterdir()] if folder.exists() else []


@contextlib.asynccontextmanager
async def opened(
    rooms: Rooms,
    owner: str = "",
    metrics: Metrics | None = None,
    quota_bytes: int | None = None,
    *,
    strict: bool = False,
    outside: Outside | None = None,
) -> AsyncIterator[Office]:
    """Yield a running server; the one without a name is that of the rooms."""
    runtime = FakeRuntime()
    inputs = Inputs(Files(rooms.buckets, outside or Outside({})), 1 << 20)

    async def launch(_: BatchJobSpec) -> Launch:
        return Launch(rooms.directory, {}, 60.0)

    runner = Runner(
        Ledger(
            rooms.database,
            rooms.blobs,
            rooms.clock.now,
            owner,
            metrics or Metrics(),
            quota_bytes,
        ),
        inputs,
        Engine(
            launch,
            runtime,
            60.0,
            Offer(strict_resources=strict),
            Accelerators(2),
        ),
        rooms.directory / owner / "jobs",
        rooms.directory / owner / "logs",
        rooms.clock.now,
    )
    clock = (rooms.clock.now, rooms.clock.new_id)
    verbs = BatchJobs(
        rooms.database, rooms.operations, rooms.pager, inputs, clock, runner
    )
    await runner.start()
    try:
        yield Office(rooms, runtime, runner, verbs)
    finally:
        await runner.stop()


@pytest.fixture
def ready(rooms: Rooms) -> Rooms:
    """Rooms with a version and two rows of input."""
    rooms.insert("m", VersionSpec("m"), ARTIFACT)
    rooms.put("in.jsonl", b"1\n2\n")
    return rooms


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def give(rooms: Rooms, name: BatchJobName, owner: str) -> None:
    """Give a job to another server, which is alive."""
    with rooms.database.transaction() as transaction:
        server_rows.renew(transaction, owner, dt.timedelta(hours=1))
        batch_job_rows.set_owner(transaction, name, owner)


def objects(rooms: Rooms) -> list[bytes]:
    """Return the bytes of the results of all jobs."""
    contents = []
    for found in rooms.buckets.iter_prefix(BUCKET, "out/"):
        if "results" in found.name:
            with rooms.buckets.open_object(BUCKET, found.name) as file:
                contents.append(file.read())
    return contents


async def holds(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.001)


def test_a_job_becomes_its_output(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            name = await office.create()
            for number in (1, 2):
                await office.asked(number)
                office.runtime.replicas[0].answer(reply=Reply(0, b"[7]"))
            job = await office.reaches(name, JobState.SUCCEEDED, JobState.FAILED)

            assert job.tally.succeeded == 2

    run(scenario)
    assert [
        [json.loads(line) for line in content.splitlines()]
        for content in objects(ready)
    ] == [[{"instance": 1, "prediction": 7}, {"instance": 2, "prediction": 7}]]


def half_done(rooms: Rooms, name: BatchJobName) -> None:
    """Leave what a server keeps that is killed behind the first of two rows."""
    spool = Spool(rooms.directory / "jobs" / name.job)
    spool.begin(Inputs(Files(rooms.buckets, Outside({})), 1).find(SPEC.uris))
    spool.write(b'{"instance":1,"prediction":7}\n', b"")
    spool.keep(0, len(b"1\n"), Tally(1))
    spool.close()


@pytest.fixture
def swept(rows_url: str, tmp_path: pathlib.Path) -> Iterator[Rooms]:
    """Rooms that are swept, hours apart, before each blob that begins."""
    files = FileBlobs(tmp_path / "blobs")
    files.start()
    hours = itertools.count(1)

    def look_twice() -> None:
        for _ in range(2):
            sweeper.look()

    def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(hours=next(hours))

    stored = WatchedBlobs(files, on_begin=look_twice)
    with contextlib.closing(Rooms(tmp_path, rows_url, stored=stored)) as rooms:
        sweeper = Sweeper(rooms.database, files, now)
        yield rooms


def test_a_short_outage_of_the_input_s_store_costs_no_predictions(
    rows_url: str, tmp_path: pathlib.Path
) -> None:
    files = FileBlobs(tmp_path / "blobs")
    files.start()
    outages: list[Exception] = []

    def may_be_away() -> None:
        for outage in outages:
            raise outage

    stored = WatchedBlobs(files, on_open=may_be_away)

    async def scenario(ready: Rooms) -> None:
        async with opened(ready) as office:
            name = await office.create()
            await office.asked(1)
        half_done(ready, name)
        outages.append(UnavailableError("the store is away"))
        async with opened(ready) as away:
            job = await away.reaches(name, JobState.FAILED)

            assert job.failure == Failure(
                Code.UNAVAILABLE,
                "the store is away; what was predicted is kept for 7 days, and "
                f"`homeport batch resume {name}` goes on with it once that is mended",
            )
        outages.clear()
        ready.clock.advance(days=1)
        async with opened(ready) as again:
            await asyncio.to_thread(again.verbs.resume, name)
            await again.answers_all()
            job = await again.reaches(name, JobState.SUCCEEDED)

            assert job.tally.succeeded == 2
            assert job.start_time == job.end_time == ready.clock.now()
            (replica,) = again.runtime.replicas
            assert [json.loads(body)["instances"] for body in replica.bodies] == [[2]]

    with contextlib.closing(Rooms(tmp_path, rows_url, stored=stored)) as rooms:
        rooms.insert("m", VersionSpec("m"), ARTIFACT)
        rooms.put("in.jsonl", b"1\n2\n")
        asyncio.run(scenario(rooms))


def test_output_that_cannot_be_stored_leaves_no_half_of_it(
    rows_url: str, tmp_path: pathlib.Path
) -> None:
    files = FileBlobs(tmp_path / "blobs")
    files.start()
    begun: list[None] = []

    def full_at_the_third() -> None:
        begun.append(None)
        if len(begun) == 3:
            raise ResourceExhaustedError("the disk is full")

    stored = WatchedBlobs(files, on_begin=full_at_the_third)

    async def scenario(ready: Rooms) -> None:
        async with opened(ready) as office:
            name = await office.create()
            await office.answers_all()
            job = await office.reaches(name, JobState.SUCCEEDED, JobState.FAILED)

            assert job.failure is not None
            assert job.failure.code is Code.RESOURCE_EXHAUSTED

    with contextlib.closing(Rooms(tmp_path, rows_url, stored=stored)) as rooms:
        rooms.insert("m", VersionSpec("m"), ARTIFACT)
        # The first blob; the second and the third are the output.
        rooms.put("in.jsonl", b"1\n2\n")
        asyncio.run(scenario(rooms))
        assert list((tmp_path / "blobs" / "partial").iterdir()) == []


def test_a_sweep_while_the_output_is_stored_takes_none_of_it(swept: Rooms) -> None:
    swept.insert("m", VersionSpec("m"), ARTIFACT)
    swept.put("in.jsonl", b"1\n2\n")

    async def scenario() -> None:
        async with opened(swept) as office:
            name = await office.create()
            replies = (Reply(0, b"[7]"), Reply(int(Code.INVALID_ARGUMENT), b"no row"))
            for number, reply in enumerate(replies, 1):
                await office.asked(number)
                office.runtime.replicas[0].answer(reply=reply)
            await office.reaches(name, JobState.SUCCEEDED, JobState.FAILED)

    run(scenario)

    assert objects(swept) == [b'{"instance":1,"prediction":7}\n']


def test_a_job_that_waits_for_its_turn_is_cancelled_at_once(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            for _ in range(2):
                await office.create()
            await office.asked(2)
            name = await office.create()

            await asyncio.to_thread(office.verbs.cancel, name)

            await office.reaches(name, JobState.CANCELLED)

    run(scenario)


def test_replicas_of_a_job_that_is_cancelled_twice_are_ended(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            name = await office.create()
            await office.asked(1)

            for _ in range(3):
                await asyncio.to_thread(office.verbs.cancel, name)

            await office.reaches(name, JobState.CANCELLED)

            async def nothing_left() -> bool:
                return office.spools() == []

            await holds(nothing_left)
            assert [one.closed.done() for one in office.runtime.replicas] == [True]

    run(scenario)


def test_a_server_leaves_a_job_that_another_took_over(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            name = await office.create()
            await office.asked(1)
            give(ready, name, "second")

            (replica,) = office.runtime.replicas

            async def ended() -> bool:
                if replica.outstanding:
                    replica.answer()
                return replica.closed.done()

            await holds(ended)
            assert await office.state(name) is JobState.RUNNING
        async with opened(ready, "second") as other:
            await other.asked(1)
            other.runtime.replicas[0].answer()
            await other.asked(2)
            other.runtime.replicas[0].answer()
            await other.reaches(name, JobState.SUCCEEDED)

    run(scenario)
    assert len(objects(ready)) == 1


def test_a_job_cancelled_while_no_server_ran_ends_when_one_comes(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            name = await office.create()
            await office.asked(1)
        await asyncio.to_thread(office.verbs.cancel, name)
        async with opened(ready) as again:
            await again.reaches(name, JobState.CANCELLED)

            assert again.runtime.replicas == []

    run(scenario)


def test_output_that_is_whole_is_published_without_asking_again(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            name = await office.create()
            await office.asked(1)
        spool = Spool(ready.directory / "jobs" / name.job)
        found = spool.found()
        inputs = Inputs(Files(ready.buckets, Outside({})), 1)
        files = found[0] if found else inputs.find(SPEC.uris)
        spool.begin(files)
        spool.write(b'{"instance":1,"prediction":7}\n', b"")
        spool.keep(len(files), 0, Tally(1))
        spool.close()
        async with opened(ready) as again:
            job = await again.reaches(name, JobState.SUCCEEDED, JobState.FAILED)

            assert job.tally.succeeded == 1
            assert again.runtime.replicas == []

    run(scenario)
    assert objects(ready) == [b'{"instance":1,"prediction":7}\n']


def test_jobs_that_end_in_one_moment_have_folders_of_their_own(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready) as office:
            names = [await office.create(), await office.create()]

            async def done() -> bool:
                for replica in office.runtime.replicas:
                    if replica.outstanding:
                        replica.answer()
                states = [await office.state(name) for name in names]
                return all(state.is_final for state in states)

            await holds(done)

    run(scenario)
    assert len(objects(ready)) == 2


def test_predictions_that_have_no_bucket_any_more_are_kept_for_resuming(
    ready: Rooms,
) -> None:
    elsewhere = dataclasses.replace(SPEC, output_prefix="gs://results/out")

    async def scenario() -> None:
        ready.buckets.create_bucket("results")
        async with opened(ready) as office:
            name = await office.create(elsewhere)
            await office.asked(1)
            ready.buckets.delete_bucket("results")
            await office.answers_all()
            job = await office.reaches(name, JobState.SUCCEEDED, JobState.FAILED)

            assert job.failure == Failure(
                Code.NOT_FOUND,
                "bucket 'results' does not exist: create it, for example with "
                "`homeport storage mb gs://results`; what was predicted is kept for 7 "
                f"days, and `homeport batch resume {name}` goes on with it once that "
                "is mended",
            )
        ready.buckets.create_bucket("results")
        ready.clock.advance(days=1)
        async with opened(ready) as again:
            await asyncio.to_thread(again.verbs.resume, name)
            job = await again.reaches(name, JobState.SUCCEEDED, JobState.FAILED)

            assert job.start_time == job.end_time == ready.clock.now()
            assert (job.state, job.failure) == (JobState.SUCCEEDED, None)
            assert job.tally.succeeded == 2
            assert again.runtime.replicas == []
            await again.has_spools(0)
        with pytest.raises(FailedPreconditionError, match="only a job that failed"):
            again.verbs.resume(name)

    run(scenario)
    assert len(list(ready.buckets.iter_prefix("results", "out/"))) == 2


def test_predictions_over_the_quota_go_with_the_job_or_its_time(ready: Rooms) -> None:
    async def scenario() -> None:
        async with opened(ready, quota_bytes=10) as office:
            names = [await office.create(), await office.create()]
            await office.answers_all()
            for name in names:
                job = await office.reaches(name, JobState.SUCCEEDED, JobState.FAILED)
                assert job.failure is not None
                assert job.failure.code is Code.RESOURCE_EXHAUSTED
                assert "what was predicted is kept for 7 days" in job.failure.message
            await office.has_spools(2)

            await asyncio.to_thread(office.verbs.delete, names[0])

            await office.has_spools(1)
        ready.clock.advance(days=8)
        async with opened(ready) as again:
            await again.has_spools(0)

            # What is not kept is predicted once more.
            await asyncio.to_thread(again.verbs.resume, names[1])
            await again.answers_all()
            await again.reaches(names[1], JobState.SUCCEEDED)

    run(scenario)
    assert len(objects(ready)) == 1


def test_a_server_that_runs_on_forgets_what_nobody_came_for(
    ready: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.jobs.runner._LOOK_S", 0.01)

    async def scenario() -> None:
        async with opened(ready, quota_bytes=10) as office:
            name = await office.create()
            await office.answers_all()
            await office.reaches(name, JobState.FAILED)
            await office.has_spools(1)

            async def forgotten() -> bool:
                # It is looked for every hour, and the job may be at its very end yet.
                ready.clock.advance(days=8)
                return office.spools() == []

            await holds(forgotten)

    run(scenario)


def test_a_model_s_history_and_the_metrics_tell_of_its_jobs(ready: Rooms) -> None:
    metrics = Metrics()

    async def scenario() -> None:
        async with opened(ready, metrics=metrics) as office:
            name = await office.create()
            await office.answers_all()
            await office.reaches(name, JobState.SUCCEEDED)
            await asyncio.to_thread(office.verbs.delete, name, caller="ada")

    run(scenario)
    found, _ = ready.history.list_changes(
        PARENT, "models/m", page(filter_="kind=batch_prediction_job")
    )
    assert [
        (one.caller, one.action, (one.after or {}).get("state")) for one in found
    ] == [
        ("ada", "deleted", None),
        ("homeport", "updated", "JOB_STATE_SUCCEEDED"),
        ("anonymous", "created", "JOB_STATE_QUEUED"),
    ]
    assert found[1].after is not None
    assert found[1].after["successfulCount"] == 2
    told = metrics.text().decode()
    assert 'homeport_batch_rows_total{result="succeeded"} 2.0' in told
    assert (
        'homeport_batch_job_duration_seconds_count{state="JOB_STATE_SUCCEEDED"} 1.0'
        in told
    )


def test_a_job_s_log_says_what_had_no_effect_and_how_it_ended(ready: Rooms) -> None:
    asked = dataclasses.replace(SPEC, warnings=("spot has no effect here",))

    async def scenario() -> list[str]:
        async with opened(ready) as office:
            name = await office.create(asked)
            await office.answers_all()
            await office.reaches(name, JobState.SUCCEEDED)
            return office.verbs.log_tail(name, 9)

    lines = asyncio.run(scenario())

    assert [line.partition(" ")[2] for line in lines] == [
        "predicting gs://models/in.jsonl with "
        "projects/p/locations/us-central1/models/m@1",
        "spot has no effect here",
        "2 predicted, 0 failed",
    ]


def test_replicas_of_a_job_are_given_the_gpus_that_it_asks_for(ready: Rooms) -> None:
    machine = DedicatedResources(
        accelerator_type="NVIDIA_L4", accelerator_count=1, min_replica_count=2
    )
    asked = dataclasses.replace(SPEC, replicas=2, machine=machine)

    async def scenario() -> None:
        async with opened(ready) as office:
            name = await office.create(asked)
            await office.answers_all()
            await office.reaches(name, JobState.SUCCEEDED)
            plain = await office.create()
            await office.answers_all()
            await office.reaches(plain, JobState.SUCCEEDED)

            given = [launch.gpu_ids for launch in office.runtime.launches]
            assert (sorted(given[:2]), given[2]) == ([(0,), (1,)], ())

    run(scenario)


def test_a_host_that_is_strict_refuses_a_job_what_it_lacks(ready: Rooms) -> None:
    machine = DedicatedResources(machine_type="n1-standard-96000")
    asked = dataclasses.replace(SPEC, machine=machine)

    async def scenario() -> None:
        async with opened(ready, strict=True) as office:
            with pytest.raises(FailedPreconditionError, match="has 96000 cores"):
                await office.create(asked)

    run(scenario)


def outside(raw: MemoryStore) -> Outside:
    address = StoreAddress.parse("s3://lab/rows")
    return Outside({address: Store(raw, str(address), address.prefix)})


def test_a_job_reads_folders_of_outside_stores(ready: Rooms) -> None:
    raw = MemoryStore()
    for key in ("rows/in/b.jsonl", "rows/in/a.jsonl", "rows/in/c.txt", "rows/d.jsonl"):
        obstore.put(raw, key, f'"{key}"\n'.encode())
    uris = ("s3://lab/rows/in/*.jsonl", "s3://lab/rows/d.jsonl")
    asked = dataclasses.replace(SPEC, uris=uris)

    async def scenario() -> None:
        async with opened(ready, outside=outside(raw)) as office:
            name = await office.create(asked)
            await office.answers_all()
            await office.reaches(name, JobState.SUCCEEDED)

    run(scenario)
    (content,) = objects(ready)
    assert [json.loads(line)["instance"] for line in content.splitlines()] == [
        "rows/in/a.jsonl",
        "rows/in/b.jsonl",
        "rows/d.jsonl",
    ]


@pytest.mark.parametrize("uri", ["s3://lab/rows/none.jsonl", "s3://lab/rows/x*"])
def test_an_object_that_is_not_in_an_outside_store_fails_the_job(
    ready: Rooms, uri: str
) -> None:
    async def scenario() -> None:
        async with opened(ready, outside=outside(MemoryStore())) as office:
            name = await office.create(dataclasses.replace(SPEC, uris=(uri,)))
            job = await office.reaches(name, JobState.FAILED)

            assert job.failure is not None
            assert job.failure.code is Code.NOT_FOUND

    run(scenario)


def test_an_outside_object_that_is_written_again_is_not_read(ready: Rooms) -> None:
    raw = MemoryStore()
    obstore.put(raw, "rows/a.jsonl", b"1\n")
    files = Files(ready.buckets, outside(raw))
    (found,) = files.matching("s3://lab/rows/a.jsonl")
    before = files.open(found)[0].read()

    obstore.put(raw, "rows/a.jsonl", b"2\n")

    assert (before, str(found)) == (b"1\n", "s3://lab/rows/a.jsonl")
    with pytest.raises(FailedPreconditionError, match="leave its input alone"):
        files.open(found)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"uris": ("s3://other/a",)}, PermissionDeniedError, "--outside-prefix"),
        ({"uris": ("gs://lab/else",)}, PermissionDeniedError, "--outside-prefix"),
        ({"uris": ("file:///etc/passwd",)}, InvalidArgumentError, "copy there first"),
        ({"output_prefix": "gs://lab/out"}, InvalidArgumentError, "copy the output"),
        ({"output_prefix": "s3://lab/rows/out"}, InvalidArgumentError, "gs://bucket"),
    ],
)
def test_places_that_no_job_may_use_are_refused_in_a_sentence(
    ready: Rooms, change: dict[str, Any], kind: type[Exception], said: str
) -> None:
    address = StoreAddress.parse("gs://lab/rows")
    known = Outside({address: Store(MemoryStore(), str(address), address.prefix)})

    async def scenario() -> None:
        async with opened(ready, outside=known) as office:
            with pytest.raises(kind, match=said):
                await office.create(dataclasses.replace(SPEC, **change))

    run(scenario)
