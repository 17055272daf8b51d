"""The XML that the XML API is answered with, and the little that it is asked with."""

import html
import re
import urllib.parse
from collections.abc import Sequence
from typing import Final
from xml.sax import saxutils

from homeport.api import storage_json
from homeport.errors import InvalidArgumentError
from homeport.registry.compositions import MAX_PARTS, PartRef
from homeport.resources.bucket import (
    KeptPart,
    ObjectPage,
    StoredObject,
    UploadSession,
)

# What google-cloud-storage looks for, in spite of whose API it is.
_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_CODES: Final = {
    400: "InvalidArgument",
    403: "AccessDenied",
    404: "NotFound",
    409: "Conflict",
    412: "PreconditionFailed",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    507: "QuotaExceeded",
}
# XML 1.0, section 2.2: what no document can hold, also not escaped.
_NOT_XML_RE: Final = re.compile(
    "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_PART_RE: Final = re.compile(r"<Part>(.*?)</Part>", re.DOTALL)
_NUMBER_RE: Final = re.compile(r"<PartNumber>\s*([0-9]{1,5})\s*</PartNumber>")
_ETAG_RE: Final = re.compile(r"<ETag>\s*([^<]{1,200}?)\s*</ETag>")


def error(http: int, message: str) -> str:
    """Return a failure."""
    code = _CODES.get(http, "InternalError")
    return _document("Error", _element("Code", code) + _element("Message", message))


def listing(
    page: ObjectPage, asked: dict[str, str], token: str, *, encoded: bool
) -> str:
    """Return a page of a bucket's objects.

    Args:
        page: The page.
        asked: Element -> what the request said, repeated to it.
        token: Where the next page begins, "" for no next page.
        encoded: Percent-encode names, which XML cannot hold all of.
    """

    def shown(name: str) -> str:
        return urllib.parse.quote(name) if encoded else name

    parts = [_element(name, value) for name, value in asked.items() if value]
    parts.append(_element("KeyCount", str(len(page.objects) + len(page.prefixes))))
    parts.append(_element("IsTruncated", "true" if token else "false"))
    if token:
        parts.append(_element("NextContinuationToken", token))
    parts += [_contents(each, shown(each.name)) for each in page.objects]
    parts += [
        f"<CommonPrefixes>{_element('Prefix', shown(each))}</CommonPrefixes>"
        for each in page.prefixes
    ]
    return _document("ListBucketResult", "".join(parts))


def begun(session: UploadSession) -> str:
    """Return the upload in parts that was begun."""
    return _document(
        "InitiateMultipartUploadResult",
        _element("Bucket", session.new.bucket)
        + _element("Key", session.new.name)
        + _element("UploadId", session.id),
    )


def parts_listing(
    parts: Sequence[KeptPart], asked: dict[str, str], *, more: bool
) -> str:
    """Return a page of the parts of an upload.

    Args:
        parts: Some, by number.
        asked: Element -> what the request said, repeated to it.
        more: Whether there are others behind them.
    """
    fields = [_element(name, value) for name, value in asked.items()]
    if more:
        fields.append(_element("NextPartNumberMarker", str(parts[-1].number)))
    fields.append(_element("IsTruncated", "true" if more else "false"))
    fields += [
        "<Part>"
        + _element("PartNumber", str(part.number))
        + _element("LastModified", storage_json.time(part.written))
        + _element("ETag", f'"{part.sha256}"')
        + _element("Size", str(part.size_bytes))
        + "</Part>"
        for part in parts
    ]
    return _document("ListPartsResult", "".join(fields))


def completed(stored: StoredObject, base_url: str) -> str:
    """Return the object that an upload in parts became."""
    path = urllib.parse.quote(f"/{stored.bucket}/{stored.name}")
    return _document(
        "CompleteMultipartUploadResult",
        _element("Location", base_url + path)
        + _element("Bucket", stored.bucket)
        + _element("Key", stored.name)
        + _element("ETag", f'"{storage_json.etag(stored)}"'),
    )


def copied(stored: StoredObject) -> str:
    """Return the object that a copy made."""
    return _document(
        "CopyObjectResult",
        _element("LastModified", storage_json.time(stored.update_time))
        + _element("ETag", f'"{storage_json.etag(stored)}"'),
    )


def parts_of(body: bytes) -> Sequence[PartRef]:
    """Return the parts that a request to complete an upload names.

    Raises:
        InvalidArgumentError: It is not such a document, or names too many.
    """
    text = body.decode("utf-8", "replace")
    found = []
    for part in _PART_RE.findall(text):
        number, etag = _NUMBER_RE.search(part), _ETAG_RE.search(part)
        if number is None or etag is None:
            raise InvalidArgumentError(
                "each Part of CompleteMultipartUpload needs PartNumber and ETag"
            )
        found.append(PartRef(int(number[1]), html.unescape(etag[1]).strip('"')))
        if len(found) > MAX_PARTS:
            raise InvalidArgumentError(f"an upload has at most {MAX_PARTS} parts")
    return found


def _contents(stored: StoredObject, name: str) -> str:
    fields = (
        _element("Key", name)
        + _element("Generation", str(stored.generation))
        + _element("MetaGeneration", str(stored.metageneration))
        + _element("LastModified", storage_json.time(stored.update_time))
        + _element("ETag", f'"{storage_json.etag(stored)}"')
        + _element("Size", str(stored.size_bytes))
        + _element("StorageClass", "STANDARD")
    )
    return f"<Contents>{fields}</Contents>"


def _document(name: str, content: str) -> str:
    return (
        "<?xml version='1.0' encoding='UTF-8'?>"
        f"<{name} xmlns='{_NAMESPACE}'>{content}</{name}>"
    )


def _element(name: str, text: str) -> str:
    return f"<{name}>{saxutils.escape(_NOT_XML_RE.sub('�', text))}</{name}>"
