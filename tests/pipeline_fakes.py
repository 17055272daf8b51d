"""Buckets and a registry in memory, for the steps of pipelines."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import final

from homeport.errors import Code, NotFoundError, PermissionDeniedError
from homeport.pipelines.registry import EndedError, Parent, Version
from homeport.pipelines.uploadspec import UploadSpec

MODELS = "projects/p/locations/us-central1/models"


def nothing(_: str) -> None:
    """Do nothing about what happens."""


@final
class MemoryBuckets:
    """Objects by their addresses.

    Attributes:
        objects: Their bytes.
        closed: Whether nothing can be looked for or written.
        blind: Whether nothing can be looked for, though written.
        on_event: Called with the name of each thing that is done, before it is done.
    """

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"gs://b/{name}": body for name, body in objects.items()}
        self.closed = self.blind = False
        self.on_event: Callable[[str], None] = nothing

    def put(self, *addresses: str) -> "MemoryBuckets":
        self.objects |= {address: address.encode() for address in addresses}
        return self

    def below(self, folder: str) -> dict[str, int]:
        prefix = f"{folder}/"
        return {
            address.removeprefix(prefix): len(body)
            for address, body in self.objects.items()
            if address.startswith(prefix)
        }

    def exists(self, address: str) -> bool:
        if self.closed or self.blind:
            raise PermissionDeniedError("this account may not look")
        return address in self.objects

    def fetch(self, address: str, path: Path) -> None:
        self.on_event("fetch")
        if address not in self.objects:
            raise NotFoundError(address)
        path.write_bytes(self.objects[address])

    def store(self, path: Path, address: str) -> bool:
        if self.closed:
            raise PermissionDeniedError("bucket b cannot be written to")
        if address in self.objects:
            return False
        self.objects[address] = path.read_bytes()
        self.on_event("store")
        return True

    def remove(self, address: str) -> None:
        self.on_event("remove")
        self.objects.pop(address, None)


@final
@dataclasses.dataclass
class MemoryUpload:
    """An upload that ends well when it is waited for, cancelled or not."""

    registry: "MemoryRegistry"
    made: Version
    is_cancelled: bool = False

    def version(self, timeout_s: float) -> Version:
        assert timeout_s > 0
        if self.registry.refusal:
            raise EndedError(Code.INVALID_ARGUMENT, self.registry.refusal)
        if not self.is_cancelled:
            self.registry.on_event("wait")
        if self.is_cancelled and self.registry.obeys:
            raise EndedError(Code.CANCELLED, "cancelled")
        self.registry.versions.append(self.made.name)
        return self.made

    def cancel(self) -> None:
        self.is_cancelled = True


@final
class MemoryRegistry:
    """Versions by name; the model `old` is there with one.

    Attributes:
        versions: Names of all versions.
        begun: The uploads: what for, the archive's folder, the parent.
        refusal: Why every upload fails; "" if none does.
        obeys: Whether an upload that is cancelled ends without a version.
        on_event: Called before an upload begins, and when it is waited for.
    """

    def __init__(self) -> None:
        self.versions = [f"{MODELS}/old@1"]
        self.begun: list[tuple[UploadSpec, str, Parent | None]] = []
        self.refusal = ""
        self.obeys = True
        self.on_event: Callable[[str], None] = nothing

    def parent(self, wanted: str) -> Parent:
        if wanted not in {"old", f"{MODELS}/old"}:
            raise NotFoundError(f"parent_model {wanted!r} does not exist")
        return Parent(f"{MODELS}/old", "1")

    def begin(
        self, spec: UploadSpec, folder: str, parent: Parent | None
    ) -> MemoryUpload:
        self.on_event("begin")
        self.begun.append((spec, folder, parent))
        made = Version(parent.name, "2") if parent else Version(f"{MODELS}/new", "1")
        return MemoryUpload(self, made)

    def delete(self, version: Version, parent: Parent | None) -> None:
        assert (parent is None) == version.model.endswith("/new")
        self.on_event("delete")
        self.versions.remove(version.name)
