"""Buckets, objects and failures in the words of Google Cloud Storage's JSON API."""

import base64
import datetime as dt
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from homeport.edge import status
from homeport.errors import (
    Code,
    ConditionNotMetError,
    HomeportError,
    InvalidArgumentError,
)
from homeport.resources.bucket import Bucket, Checksums, Content, StoredObject

_CRC32C_BYTES: Final = 4
_MD5_BYTES: Final = 16
_OBJECT_TEXTS: Final = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "storageClass",
)
_OBJECT_FIELDS: Final = (*_OBJECT_TEXTS, "metadata", "eventBasedHold", "temporaryHold")
# Kept and returned; only what the compatibility page names has an effect.
_BUCKET_FIELDS: Final = (
    "autoclass",
    "billing",
    "cors",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "encryption",
    "hierarchicalNamespace",
    "iamConfiguration",
    "labels",
    "lifecycle",
    "logging",
    "retentionPolicy",
    "rpo",
    "softDeletePolicy",
    "storageClass",
    "versioning",
    "website",
)
# Where Google Cloud Storage answers with another status than google.rpc.Code has.
_HTTP: Final = {
    # A bucket that is not empty.
    Code.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    # The disk is full. Clients repeat a 429 for minutes; this they report at once.
    Code.RESOURCE_EXHAUSTED: HTTPStatus.INSUFFICIENT_STORAGE,
}
_REASONS: Final = {
    400: "invalid",
    403: "forbidden",
    404: "notFound",
    409: "conflict",
    412: "conditionNotMet",
    501: "notImplemented",
    503: "backendError",
}


def error(failure: Exception) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and JSON body for any exception."""
    http, document = status.from_exception(failure)
    if isinstance(failure, ConditionNotMetError):
        http = HTTPStatus.PRECONDITION_FAILED
    elif isinstance(failure, HomeportError):
        http = int(_HTTP.get(failure.code, http))
    message = document["error"]["message"]
    reason = _REASONS.get(http, "internalError")
    cause = {"domain": "global", "reason": reason, "message": message}
    return http, {"error": {"code": http, "message": message, "errors": [cause]}}


def bucket(found: Bucket, base_url: str) -> dict[str, Any]:
    """Return a bucket resource.

    Args:
        found: The bucket.
        base_url: Scheme and authority the caller reached the server by.
    """
    return {
        "kind": "storage#bucket",
        "id": found.name,
        "selfLink": f"{base_url}/storage/v1/b/{found.name}",
        "name": found.name,
        "projectNumber": "0",
        "location": found.location,
        "locationType": "region",
        "storageClass": "STANDARD",
        "metageneration": str(found.metageneration),
        "timeCreated": time(found.create_time),
        "updated": time(found.update_time),
        "etag": _etag(0, found.metageneration),
        **found.properties,
    }


def stored_object(found: StoredObject, base_url: str) -> dict[str, Any]:
    """Return an object resource.

    Args:
        found: The object.
        base_url: Scheme and authority the caller reached the server by.
    """
    path = f"/storage/v1/b/{found.bucket}/o/{urllib.parse.quote(found.name, safe='')}"
    return {
        "kind": "storage#object",
        "id": f"{found.bucket}/{found.name}/{found.generation}",
        "selfLink": f"{base_url}{path}",
        "mediaLink": (
            f"{base_url}/download{path}?generation={found.generation}&alt=media"
        ),
        "name": found.name,
        "bucket": found.bucket,
        "generation": str(found.generation),
        "metageneration": str(found.metageneration),
        "storageClass": "STANDARD",
        "size": str(found.size_bytes),
        "md5Hash": _md5_text(found.content),
        "crc32c": _crc32c_text(found.content),
        "etag": etag(found),
        "timeCreated": time(found.create_time),
        "timeFinalized": time(found.create_time),
        "timeStorageClassUpdated": time(found.create_time),
        "updated": time(found.update_time),
        **found.properties,
    }


def etag(found: StoredObject) -> str:
    """Return the text that changes with every write to an object."""
    return _etag(found.generation, found.metageneration)


def hashes_text(content: Content) -> str:
    """Return the checksums of bytes as the header `x-goog-hash` has them."""
    return f"crc32c={_crc32c_text(content)},md5={_md5_text(content)}"


def _crc32c_text(content: Content) -> str:
    """Return a crc32c, big-endian in base64."""
    return base64.b64encode(content.crc32c.to_bytes(_CRC32C_BYTES)).decode()


def _md5_text(content: Content) -> str:
    return base64.b64encode(bytes.fromhex(content.md5)).decode()


def object_properties(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a caller may set of an object resource; null stays null.

    Fields that only the server sets are dropped, as Google Cloud Storage does.

    Raises:
        InvalidArgumentError: A value is of the wrong type, or cannot be a header.
    """
    for name in _OBJECT_TEXTS:
        _check_text(name, resource.get(name))
    metadata = resource.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidArgumentError("metadata: expected an object of strings")
    for key, value in (metadata or {}).items():
        if not isinstance(value, str | None):
            raise InvalidArgumentError(f"metadata[{key!r}]: expected a string")
    return {name: resource[name] for name in _OBJECT_FIELDS if name in resource}


def bucket_properties(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a caller may set of a bucket resource; null stays null."""
    return {name: resource[name] for name in _BUCKET_FIELDS if name in resource}


def merged(properties: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties after a patch (RFC 7396): null removes, objects merge."""
    result = dict(properties)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            known = result.get(name)
            result[name] = merged(known if isinstance(known, dict) else {}, value)
        else:
            result[name] = value
    return result


def resource_checksums(resource: Mapping[str, Any]) -> Checksums:
    """Return the checksums an object resource announces.

    Raises:
        InvalidArgumentError: One is not base64 of the right length.
    """
    return _checksums(resource.get("crc32c"), resource.get("md5Hash"))


def header_checksums(values: list[str]) -> Checksums:
    """Return the checksums of `x-goog-hash` headers ("crc32c=..., md5=...").

    Raises:
        InvalidArgumentError: One is not base64 of the right length.
    """
    entries = (entry.strip() for value in values for entry in value.split(","))
    said = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return _checksums(said.get("crc32c"), said.get("md5"))


def _checksums(crc32c: object, md5: object) -> Checksums:
    crc32c_bytes = _decoded("crc32c", crc32c, _CRC32C_BYTES)
    md5_bytes = _decoded("md5", md5, _MD5_BYTES)
    return Checksums(
        crc32c=int.from_bytes(crc32c_bytes) if crc32c_bytes else None,
        md5=md5_bytes.hex() if md5_bytes else None,
    )


def _decoded(name: str, value: object, length: int) -> bytes:
    if value is None:
        return b""
    try:
        decoded = base64.b64decode(str(value), validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != length:
        raise InvalidArgumentError(f"{name} {value!r}: expected {length} bytes, base64")
    return decoded


def _check_text(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name}: expected a string")
    if any(ord(character) < 0x20 or character == "\x7f" for character in value):  # noqa: PLR2004  # control characters
        raise InvalidArgumentError(
            f"{name} {value!r}: control characters cannot be sent back in a header"
        )


def _etag(generation: int, metageneration: int) -> str:
    return base64.b64encode(f"{generation}/{metageneration}".encode()).decode()


def time(moment: dt.datetime) -> str:
    """Return a time as the API writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
