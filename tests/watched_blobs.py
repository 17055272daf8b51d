"""A store of blobs beside which something happens at a moment that a test chooses."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import BinaryIO

from homeport.objects.blobs import Blobs, BlobWriter
from homeport.resources.bucket import Content


class WatchedBlobs:
    """Blobs of which something is done whenever somebody lists or begins one.

    Args:
        blobs: The others.
        on_listing: What is done, before the first is listed.
        on_begin: What is done before somebody writes the first byte of a new one.
        on_open: What is done before somebody reads one.
    """

    def __init__(
        self,
        blobs: Blobs,
        on_listing: Callable[[], object] = lambda: None,
        on_begin: Callable[[], object] = lambda: None,
        on_open: Callable[[], object] = lambda: None,
    ) -> None:
        self._blobs = blobs
        self._on_listing = on_listing
        self._on_begin = on_begin
        self._on_open = on_open

    def begin(self, *, md5: bool = True) -> BlobWriter:
        self._on_begin()
        return self._blobs.begin(md5=md5)

    def resume(self, upload: str) -> BlobWriter:
        return self._blobs.resume(upload)

    def open(self, sha256: str) -> BinaryIO:
        self._on_open()
        return self._blobs.open(sha256)

    def measure(self, sha256: str) -> Content:
        return self._blobs.measure(sha256)

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        return self._blobs.delete(sha256, unused_since=unused_since)

    def iterate(self) -> Iterator[str]:
        self._on_listing()
        return self._blobs.iterate()

    def uploads(self) -> Iterator[str]:
        return self._blobs.uploads()
