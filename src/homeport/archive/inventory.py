"""What lies in an archive, however it is kept: a zip, a tar or a folder."""

import dataclasses

from homeport.archive import manifest
from homeport.archive.manifest import Manifest
from homeport.archive.members import Member
from homeport.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """What lies in an archive.

    Attributes:
        manifest: What the archive says of its model.
        members: Its files, sorted by path, the manifest among them.
        archive_bytes: The archive's own length; of a folder, its files'.
    """

    manifest: Manifest
    members: tuple[Member, ...]
    archive_bytes: int

    @property
    def total_bytes(self) -> int:
        """All members together, uncompressed."""
        return sum(member.size_bytes for member in self.members)

    @property
    def compressed_bytes(self) -> int:
        """All members together, as they lie in the archive."""
        return sum(member.compressed_bytes for member in self.members)

    @property
    def stored(self) -> bool:
        """Whether no member is compressed."""
        return all(member.stored for member in self.members)

    def check_named_files(self) -> None:
        """Refuse a manifest that names a file which is not there.

        Raises:
            InvalidArgumentError: It does.
        """
        declared = self.manifest
        paths = {member.path for member in self.members}
        for key, path in declared.files.items():
            if path not in paths:
                raise InvalidArgumentError(
                    f"{manifest.PATH}: {key} names {path!r:.120}, which is not in the "
                    "archive: pack the archive again with that file"
                )
        is_default = declared.handler.partition(":")[0] in manifest.DEFAULT_HANDLERS
        if not is_default and f"{declared.handler_module}.py" not in paths:
            raise InvalidArgumentError(
                f"{manifest.PATH}: handler names {declared.handler!r:.120}, but "
                f"'{declared.handler_module:.100}.py' is not in the archive: "
                "pack the archive again with that file"
            )


def missing_manifest(kind: str) -> InvalidArgumentError:
    """Return the error for an archive without a manifest; `kind` is "a tar"."""
    return InvalidArgumentError(
        f"the archive has no {manifest.PATH}, so it is {kind} but no model archive: "
        "make it with 'homeport pack' or torch-model-archiver"
    )
