"""The upload, from the files of a training step to a version in the registry."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from homeport.errors import HomeportError, PermissionDeniedError
from homeport.pipelines import addresses, archiving, staging
from homeport.pipelines.cancelling import Cancellation
from homeport.pipelines.registry import EndedError, Parent, Registry, Upload, Version
from homeport.pipelines.storage import Buckets, Storage
from homeport.pipelines.uploadspec import UploadSpec

# A registry that tries an archive builds its environment first.
REGISTERING_S: Final = 3600.0
# What Kubernetes leaves a step that was told to end is 30 s.
_WITHDRAWING_S: Final = 20.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an upload works with.

    Attributes:
        storage: Where files are.
        registry: Where versions are registered.
        cancellation: Who may end it.
        say: Receives each line for the step's log.
    """

    storage: Storage
    registry: Registry
    cancellation: Cancellation
    say: Callable[[str], None]


def upload(spec: UploadSpec, tools: Tools) -> Version:
    """Stage, pack, store and register a model.

    An upload that fails or is cancelled leaves no version, no archive and no file on
    this machine.

    Raises:
        HomeportError: As told by whoever could not go on.
        SystemExit: It was cancelled.
    """
    for name in spec.serving.unused:
        tools.say(f"warning: {name} counts for a custom container alone: left out")
    parent = tools.registry.parent(spec.entry.parent) if spec.entry.parent else None
    planned = staging.plan(spec.files, tools.storage)
    _warn(tools, planned.warnings)
    with _folder(tools.cancellation) as folder:
        staged = folder / "files"
        staged.mkdir()
        tools.say(f"staging {len(planned.sources):,} files of {planned.folder}")
        staging.fetch(planned, tools.storage, staged)
        archived = archiving.archive(spec, staged, folder)
        _warn(tools, archived.warnings)
        kept = archiving.folder_of(spec, planned.folder, archived.sha256)
        address = addresses.joined(kept, archived.path.name)
        with _stored(tools, archived.path, address):
            tools.say(f"stored {address}")
            version = _registered(tools, spec, kept, parent)
    tools.say(f"registered {version.name}")
    return version


@contextlib.contextmanager
def _folder(cancellation: Cancellation) -> Iterator[Path]:
    """Yield a folder of this upload's own, which is removed in any case."""
    with contextlib.ExitStack() as stack:
        with cancellation.held():
            made = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="homeport-upload-")
            )
        try:
            yield Path(made)
        finally:
            cancellation.close()


@contextlib.contextmanager
def _stored(tools: Tools, path: Path, address: str) -> Iterator[None]:
    """Keep an archive in its bucket, unless what is done meanwhile fails.

    One that was there before belongs to who registered it: it stays, and is not sent.
    """
    buckets = tools.storage.buckets

    def remove() -> None:
        if buckets.exists(address):
            buckets.remove(address)

    was_there = _is_there(buckets, address)
    try:
        if not was_there:
            was_there = not buckets.store(path, address)
        yield
    except BaseException:
        tools.cancellation.close()
        if not was_there:
            _tidied(remove, address)
        raise


def _is_there(buckets: Buckets, address: str) -> bool:
    """Return whether an archive can be seen; who may not look may still store one."""
    try:
        return buckets.exists(address)
    except PermissionDeniedError:
        return False


def _registered(
    tools: Tools, spec: UploadSpec, folder: str, parent: Parent | None
) -> Version:
    begun: Upload | None = None
    try:
        with tools.cancellation.held():
            begun = tools.registry.begin(spec, folder, parent)
        version = begun.version(REGISTERING_S)
        tools.cancellation.close()
    except BaseException:
        tools.cancellation.close()
        if begun is not None:
            _withdraw(tools.registry, begun, parent)
        raise
    return version


def _withdraw(registry: Registry, begun: Upload, parent: Parent | None) -> None:
    """End what was begun, and undo what came of it nevertheless."""

    def end() -> None:
        with contextlib.suppress(HomeportError):  # it may have ended by now
            begun.cancel()
        try:
            version = begun.version(_WITHDRAWING_S)
        except EndedError:
            return  # as it was wanted
        registry.delete(version, parent)

    _tidied(end, "the version that was being registered")


def _tidied(tidy: Callable[[], None], what: str) -> None:
    """Tidy up behind a failure, which stays the one that is told."""
    try:
        tidy()
    except HomeportError as error:
        sys.stderr.write(f"warning: {what} may be left: {error.message}\n")


def _warn(tools: Tools, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        tools.say(f"warning: {warning}")
