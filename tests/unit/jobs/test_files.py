"""What an address names is found once, and what it does not name is told."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import obstore
import pytest
from obstore.store import MemoryStore

from homeport.errors import NotFoundError
from homeport.jobs.files import Files
from homeport.jobs.inputs import Inputs
from homeport.objects.addresses import StoreAddress
from homeport.objects.outside import Outside
from homeport.objects.stores import Store, open_store
from rooms import Rooms

_ENTRY = (
    "<Contents><Key>{0}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    '<ETag>"e"</ETag><Size>{1}</Size></Contents>'
)


@contextlib.contextmanager
def holding(sizes: dict[str, int]) -> Iterator[Outside]:
    """Yield the store `s3://lab`, which lists these keys as S3 does."""
    listed = "".join(_ENTRY.format(*one) for one in sizes.items())
    page = f"<ListBucketResult>{listed}<IsTruncated>false</IsTruncated>"
    content = f"{page}</ListBucketResult>".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, len(content))
            self.wfile.write(content)

        def do_HEAD(self) -> None:
            size = sizes.get(self.path.removeprefix("/lab/"))
            self._answer(404 if size is None else 200, size or 0)

        def _answer(self, status: int, size: int) -> None:
            self.send_response(status)
            self.send_header("content-length", str(size))
            self.send_header("etag", '"e"')
            self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host = f"127.0.0.1:{server.server_port}"
        address = StoreAddress.parse(
            f"s3://lab?endpoint=http://{host}&region=us-east-1&anonymous=true"
        )
        try:
            yield Outside({address: open_store(address, {}, [host])})
        finally:
            server.shutdown()
            thread.join()


def test_the_folders_that_storage_browsers_make_are_no_files(rooms: Rooms) -> None:
    keys = {"in/": 0, "in/sub/": 0, "in/sub/b": 2, "in/a": 2, "in/empty": 0}

    with holding(keys) as outside:
        found = list(Files(rooms.buckets, outside).matching("s3://lab/in/*"))

    assert [one.name for one in found] == ["in/a", "in/empty", "in/sub/b"]


@pytest.mark.parametrize("uri", ["gs://models/*", "s3://lab/*"])
def test_a_search_that_nobody_waits_for_any_more_ends(rooms: Rooms, uri: str) -> None:
    raw = MemoryStore()
    for name in ("a", "b", "c"):
        obstore.put(raw, name, b"1")
        rooms.put(name, b"1")
    address = StoreAddress.parse("s3://lab")
    files = Files(rooms.buckets, Outside({address: Store(raw, str(address))}))
    answers = [True, False, False]

    found = list(files.matching(uri, answers.pop))

    assert len(found) == 2
    assert answers == []


@pytest.mark.parametrize("uri", ["gs://models/in*", "s3://lab/rows/a*"])
def test_a_star_in_a_line_of_a_file_list_is_a_character(rooms: Rooms, uri: str) -> None:
    raw = MemoryStore()
    obstore.put(raw, "rows/a.png", b"1")
    rooms.put("in.png", b"1")
    address = StoreAddress.parse("s3://lab/rows")
    outside = Outside({address: Store(raw, str(address), address.prefix)})

    with pytest.raises(NotFoundError):
        Inputs(Files(rooms.buckets, outside), 9).fetch(uri)
