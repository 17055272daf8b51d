"""Killed at any step of any write, the store is as it was before or after the write.

A run kills the server at one step of one action, starts it again, and compares all it
has with what the client was told; then it kills it once more and looks at the disk.
"""

import contextlib
import io
import itertools
import pathlib
import random
import types
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

import hostile
import s3_servers
from databases import Databases
from storm import BUCKET, NEVER, UPLOAD, DiedError, Storm

pytestmark = pytest.mark.service

CHUNK = 256 << 10
XML_ENDING = (
    "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
    "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
)
NO_VARIABLES: Mapping[str, str] = types.MappingProxyType({})
Armed = Callable[[], None]
Action = Callable[[Storm, Armed], None]


def upload(of: Storm, armed: Armed) -> None:
    armed()
    of.stored()


def overwrite(of: Storm, armed: Armed) -> None:
    name, content = of.stored(), of.random_bytes(300_000)
    armed()
    with of.writing(name, content):
        of.upload(name, content)


def send_again(of: Storm, armed: Armed) -> None:
    content = of.kept[of.stored()]
    name = of.name()
    armed()
    with of.writing(name, content):
        of.upload(name, content)


def resume(of: Storm, armed: Armed) -> None:
    name, content = of.name(), of.random_bytes(CHUNK + 1000)
    params = {"uploadType": "resumable", "name": name}
    armed()
    session = of.call("POST", UPLOAD, params=params).headers["location"]
    session = session[session.index("/upload") :]
    of.unfinished.append(lambda: go_on(of, session, name, content))
    total = len(content)
    with of.writing(name, content):
        for first, end in ((0, CHUNK), (CHUNK, total)):
            of.call(
                "PUT",
                session,
                content=content[first:end],
                headers={"content-range": f"bytes {first}-{end - 1}/{total}"},
            )


def go_on(of: Storm, session: str, name: str, content: bytes) -> None:
    """End the session as a client does that lost its connection."""
    total = len(content)
    asked = of.call("PUT", session, headers={"content-range": f"bytes */{total}"})
    if asked.status_code == 308:
        first = int(asked.headers.get("range", "bytes=0--1").rpartition("=0-")[2]) + 1
        with of.writing(name, content):
            of.call(
                "PUT",
                session,
                content=content[first:],
                headers={"content-range": f"bytes {first}-{total - 1}/{total}"},
            )
    of.doubtful[name] = {content}


def cancel(of: Storm, armed: Armed) -> None:
    params = {"uploadType": "resumable", "name": of.name()}
    session = of.call("POST", UPLOAD, params=params).headers["location"]
    session = session[session.index("/upload") :]
    headers = {"content-range": f"bytes 0-{CHUNK - 1}/*"}
    of.call("PUT", session, content=of.random_bytes(CHUNK), headers=headers)
    armed()
    assert of.ask("DELETE", session).status_code == 499


def put_parts(of: Storm, armed: Armed) -> None:
    name, pieces = of.name(), [of.random_bytes(50_000), of.random_bytes(40_000)]
    armed()
    begun = of.call("POST", f"/models/{name}?uploads").text
    upload_id = begun.partition("<UploadId>")[2].partition("</UploadId>")[0]
    whole, part = XML_ENDING
    listed = ""
    for number, piece in enumerate(pieces, 1):
        query = {"partNumber": number, "uploadId": upload_id}
        put = of.call("PUT", f"/models/{name}", params=query, content=piece)
        listed += part.format(number, put.headers["etag"])
    ending, content = whole.format(listed), b"".join(pieces)

    def complete() -> None:
        with of.writing(name, content):
            query = {"uploadId": upload_id}
            of.call("POST", f"/models/{name}", params=query, content=ending)

    of.unfinished.append(complete)
    complete()


def copy(of: Storm, armed: Armed) -> None:
    name, to = of.stored(), of.stored()
    armed()
    with of.writing(to, of.kept[name]):
        of.call("POST", f"{BUCKET}/o/{name}/rewriteTo/b/models/o/{to}", json={})


def compose(of: Storm, armed: Armed) -> None:
    first, second = of.stored(1000), of.stored(2000)
    document = {"sourceObjects": [{"name": first}, {"name": second}]}
    armed()
    with of.writing(first, of.kept[first] + of.kept[second]):
        of.call("POST", f"{BUCKET}/o/{first}/compose", json=document)


def move(of: Storm, armed: Armed) -> None:
    name, to = of.stored(), of.name()
    content = of.kept[name]
    of.unfinished.append(lambda: check_moved(of, name, to))
    armed()
    with of.writing(name, None), of.writing(to, content):
        of.call("POST", f"{BUCKET}/o/{name}/moveTo/o/{to}")


def check_moved(of: Storm, name: str, to: str) -> None:
    there = [of.ask("GET", f"{BUCKET}/o/{one}").status_code for one in (name, to)]
    assert sorted(there) == [200, 404]


def delete(of: Storm, armed: Armed) -> None:
    name = of.stored()
    armed()
    of.delete(name)


def register(of: Storm, armed: Armed) -> None:
    name = stored_archive(of)
    armed()
    of.register(name)


def delete_model(of: Storm, armed: Armed) -> None:
    model = of.register(stored_archive(of))
    armed()
    of.delete_model(model)


def predict_batch(of: Storm, armed: Armed) -> None:
    rows = list(range(200))
    name, content = of.name(), b"".join(b"%d\n" % row for row in rows)
    with of.writing(name, content):
        of.upload(name, content)
    model = of.register(stored_archive(of))
    armed()
    lines = [{"instance": row, "prediction": row} for row in rows]
    of.settle_job(of.predict_batch(model, name, lines))


def collect_garbage(of: Storm, armed: Armed) -> None:
    leave_garbage(of)
    of.end()
    armed()
    of.collect_garbage()


def start_again(of: Storm, armed: Armed) -> None:
    leave_garbage(of)
    of.kill()
    armed()
    of.start()


def divide(of: Storm, armed: Armed) -> None:
    """Start the server on archives that are whole: it divides them at once."""
    for _ in range(2):
        of.register(stored_archive(of))
    of.kill()
    armed()
    if of.start():
        of.wait_until_divided()


def leave_garbage(of: Storm) -> None:
    """Leave blobs, parts and a session's bytes that nothing needs."""
    name = stored_archive(of)
    model = of.register(name)
    of.delete(name)
    of.delete_model(model)
    of.delete(of.stored())


def stored_archive(of: Storm) -> str:
    """Return the name of a new archive in the bucket, half of it seen before."""
    name, archive = f"{of.name()}.mar", io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", hostile.MANIFEST)
        file.writestr("h.py", b"def handle(data, context): return data\n")
        file.writestr("shared.bin", b"sh" * of.part_bytes)
        file.writestr("weights.bin", of.random_bytes(2 * of.part_bytes))
    with of.writing(name, archive.getvalue()):
        of.upload(name, archive.getvalue())
    return name


ACTIONS: Sequence[Action] = (
    *(upload, overwrite, send_again, resume, cancel, put_parts, copy, compose, move),
    *(delete, register, delete_model, divide, collect_garbage, start_again),
)


def weather(of: Storm, action: Action, at: int) -> list[str]:
    """Kill the server at a step of an action, and see what is left.

    Returns the steps that were begun, the last of them never done.
    """
    assert of.start(), of.log()
    of.tidy()
    armed = []

    def arm() -> None:
        armed.append(at)
        of.arm(at)

    try:
        action(of, arm)
    except DiedError:
        assert armed, of.log()
    steps = of.passed()
    of.kill()
    try:
        assert of.start(), of.log()
        # Pieces being written are no leftovers, nor needed by a row before the last.
        of.wait_until_divided()
        assert not of.is_dead(), of.log()
        of.check_leftovers()
        of.check_promises()
        of.end()
        of.check_disk()
    except BaseException as error:
        error.add_note(f"{action.__name__}, killed at {at} of {steps}")
        raise
    return steps


@contextlib.contextmanager
def storm_in(
    folder: pathlib.Path, variables: Mapping[str, str] = NO_VARIABLES, **where: Any
) -> Iterator[Storm]:
    of = Storm(folder, 5, variables, **where)
    try:
        assert of.start(), of.log()
        of.call(
            "POST", "/storage/v1/b", params={"project": "p"}, json={"name": "models"}
        )
        of.kill()
        yield of
    finally:
        of.close()


def points_of(of: Storm) -> list[tuple[Action, int]]:
    """Return every step of every action, and for each that it ended before the kill."""
    return [
        (action, at)
        for action in (*ACTIONS, predict_batch)
        for at in range(1, len(weather(of, action, NEVER)) + 2)
    ]


@pytest.mark.timeout(600)  # 15 s on an idle machine: forty servers begin one by one
def test_killed_at_twenty_steps_it_keeps_its_promises(tmp_path: pathlib.Path) -> None:
    with storm_in(tmp_path) as of:
        for run in range(20):
            # Each action once or twice, at a step that another run does not take.
            action, at = ACTIONS[run % len(ACTIONS)], 3 + run * 5 % 11
            # A division begins when the server has started, thirty steps later.
            weather(of, action, at + 35 if action is divide else at)


@pytest.mark.timeout(600)  # 6 s on an idle machine
def test_a_batch_prediction_killed_anywhere_has_each_line_once(
    tmp_path: pathlib.Path,
) -> None:
    with storm_in(tmp_path) as of:
        for at in (57, 74):
            weather(of, predict_batch, at)


@pytest.mark.storms
@pytest.mark.timeout(3600)
def test_killed_at_every_step_it_keeps_its_promises(tmp_path: pathlib.Path) -> None:
    with storm_in(tmp_path) as of:
        points = points_of(of)
        random.Random(5).shuffle(points)  # noqa: S311  # an order, no secret
        runs = max(200, len(points))
        for action, at in itertools.islice(itertools.cycle(points), runs):
            weather(of, action, at)


def a_hundred_runs(of: Storm) -> None:
    """Kill the server at steps of all actions, each run at another."""
    points = points_of(of)
    random.Random(5).shuffle(points)  # noqa: S311  # an order, no secret
    for action, at in itertools.islice(itertools.cycle(points), 100):
        weather(of, action, at)


@pytest.mark.storms
@pytest.mark.timeout(3600)
def test_with_its_rows_in_postgresql_it_keeps_its_promises(
    tmp_path: pathlib.Path, databases: Databases
) -> None:
    with storm_in(tmp_path, database_url=databases.create()) as of:
        a_hundred_runs(of)


@pytest.mark.storms
@pytest.mark.timeout(3600)
def test_with_its_bytes_in_a_bucket_it_keeps_its_promises(
    tmp_path: pathlib.Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_servers.running() as url:
        s3_servers.create_bucket(url, "blobs")
        where = {
            "database_url": databases.create(),
            "blob_store": f"s3://blobs/registry?endpoint={url}",
            "private_endpoints": (url.removeprefix("http://"),),
        }
        with storm_in(tmp_path, s3_servers.CREDENTIALS, **where) as of:
            a_hundred_runs(of)
