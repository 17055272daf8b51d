"""Bucket, StoredObject, and what a caller may ask of them when reading or writing."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import ConditionNotMetError, InvalidArgumentError

MAX_OBJECT_NAME_BYTES: Final = 1024  # UTF-8; GCS object naming page


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """A named container of objects, one namespace for the whole server.

    Attributes:
        name: As in gs://name.
        project: Who it was created under; "" when the caller named none.
        location: As it was asked for, upper case.
        metageneration: Counts the writes to its own fields, from 1.
        properties: What a client set on it, in the JSON API's words.
        create_time: UTC.
        update_time: UTC.
    """

    name: str
    project: str
    location: str
    metageneration: int
    properties: Mapping[str, Any]
    create_time: dt.datetime
    update_time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """Bytes at rest: how many, and what they hash to.

    Attributes:
        sha256: Lower-case hex; the key of the blob that holds them.
        size_bytes: Their number.
        crc32c: As an unsigned integer.
        md5: Lower-case hex.
    """

    sha256: str
    size_bytes: int
    crc32c: int
    md5: str


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObject:
    """A name in a bucket, and the bytes it stands for.

    Attributes:
        bucket: Where it lives.
        name: Unique there; 1 to 1024 bytes of UTF-8.
        generation: Larger for every content the name ever had.
        metageneration: Counts the writes to the properties of this generation, from 1.
        content: Its bytes.
        properties: contentType, metadata and the like, in the JSON API's words.
        create_time: UTC; of this generation.
        update_time: UTC; of this metageneration.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    content: Content
    properties: Mapping[str, Any]
    create_time: dt.datetime
    update_time: dt.datetime

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.name}"

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""
        return self.content.sha256

    @property
    def size_bytes(self) -> int:
        """The number of its bytes."""
        return self.content.size_bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of the live object (or bucket); None asks nothing.

    Generation 0 stands for "there is no such object" (GCS request preconditions page).
    """

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check(self, generation: int, metageneration: int, *, of: str) -> None:
        """Refuse to go on unless every condition holds.

        Args:
            generation: The live one, 0 when there is none.
            metageneration: The live one, 0 when there is none.
            of: What the message calls the thing, e.g. "object gs://b/o".

        Raises:
            ConditionNotMetError: One does not hold.
        """
        for wanted, found, same, word in (
            (self.generation_match, generation, True, "generation"),
            (self.generation_not_match, generation, False, "generation"),
            (self.metageneration_match, metageneration, True, "metageneration"),
            (self.metageneration_not_match, metageneration, False, "metageneration"),
        ):
            if wanted is not None and (wanted == found) is not same:
                asked = "required" if same else "excluded"
                raise ConditionNotMetError(
                    f"{of} has {word} {found}, and the request {asked} {wanted}: "
                    "read it again and retry"
                )


NO_CONDITIONS: Final = Conditions()


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object as a caller names it.

    Attributes:
        bucket: Its bucket.
        name: Its name there.
        generation: The one that is meant, None for whichever is live.
        conditions: What must hold of it.
    """

    bucket: str
    name: str
    generation: int | None = None
    conditions: Conditions = NO_CONDITIONS

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Checksums:
    """What the sender says of the bytes; None says nothing.

    Attributes:
        crc32c: As an unsigned integer.
        md5: Lower-case hex.
        size_bytes: How many there are.
    """

    crc32c: int | None = None
    md5: str | None = None
    size_bytes: int | None = None

    def check(self, content: Content, *, of: str) -> None:
        """Refuse bytes that are not those that were sent.

        Raises:
            InvalidArgumentError: The length or a checksum differs.
        """
        if self.size_bytes is not None and self.size_bytes != content.size_bytes:
            raise InvalidArgumentError(
                f"{of}: {content.size_bytes} bytes were received, and "
                f"{self.size_bytes} announced: send again"
            )
        if self.crc32c is not None and self.crc32c != content.crc32c:
            raise InvalidArgumentError(
                f"{of}: crc32c of the {content.size_bytes} bytes received is "
                f"{content.crc32c:08x}, the request said {self.crc32c:08x}: send again"
            )
        if self.md5 is not None and self.md5 != content.md5:
            raise InvalidArgumentError(
                f"{of}: md5 of the {content.size_bytes} bytes received is "
                f"{content.md5}, the request said {self.md5}: send again"
            )


NO_CHECKSUMS: Final = Checksums()


@dataclasses.dataclass(frozen=True, slots=True)
class NewObject:
    """An object about to be written.

    Attributes:
        bucket: An existing bucket.
        name: Its name there.
        properties: What is kept with it, in the JSON API's words.
        conditions: What must hold of the object it replaces.
        checksums: What its bytes must hash to.

    Raises:
        InvalidArgumentError: The name is one Google Cloud Storage would refuse.
    """

    bucket: str
    name: str
    properties: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    conditions: Conditions = NO_CONDITIONS
    checksums: Checksums = NO_CHECKSUMS

    def __post_init__(self) -> None:
        check_object_name(self.name)

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectQuery:
    """Which objects of a bucket a list returns.

    Attributes:
        bucket: The bucket.
        prefix: Only names that begin with it.
        delimiter: Names that contain it after the prefix are folded into one common
            prefix each; "" folds nothing.
        start: First name that may appear, "" for the first there is.
        end: First name that may not, "" for no end.
        with_trailing_delimiter: Whether an object named like a common prefix is listed
            as well.
    """

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    with_trailing_delimiter: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a list, in the order of names by code point.

    Attributes:
        objects: The objects.
        prefixes: The common prefixes.
        next_start: Where the next page starts, "" when this is the last.
    """

    objects: tuple[StoredObject, ...]
    prefixes: tuple[str, ...]
    next_start: str


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class KeptPart:
    """A part of an upload, that is there.

    Attributes:
        number: From 1.
        written: When, by the clock of its store, aware.
        sha256: Of its bytes, lower-case hex.
        size_bytes: How many.
    """

    number: int
    written: dt.datetime
    sha256: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class UploadSession:
    """An object that arrives over several requests.

    Attributes:
        id: Unguessable; names it in URLs.
        new: What it will become.
        generation: Of the object it became, 0 while unfinished.
        create_time: UTC.
        owner: The server that has its bytes until it is finished, "" for any.
    """

    id: str
    new: NewObject
    generation: int
    create_time: dt.datetime
    owner: str = ""


def check_object_name(name: str) -> None:
    """Refuse an object name Google Cloud Storage would refuse.

    Raises:
        InvalidArgumentError: Empty, over 1024 bytes of UTF-8, "." or "..", or it
            contains a carriage return, a line feed or a NUL.
    """
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"object name {name!r} is not Unicode text: encode it as UTF-8"
        ) from error
    if not 1 <= length <= MAX_OBJECT_NAME_BYTES:
        raise InvalidArgumentError(
            f"an object name has 1 to {MAX_OBJECT_NAME_BYTES} bytes, this has {length}"
        )
    if name in {".", ".."} or any(character in name for character in "\r\n\0"):
        raise InvalidArgumentError(
            f"object name {name!r}: '.', '..' and names with line breaks or NUL "
            "are not allowed"
        )
