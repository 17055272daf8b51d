"""Where files lie for a pipeline: in buckets, or in folders of this machine."""

import posixpath
import re
import urllib.parse
from typing import Final

from homeport.errors import InvalidArgumentError

# Where Vertex AI Pipelines mounts buckets in a step's container.
_MOUNTED: Final = "/gcs/"
_BUCKET_RE: Final = re.compile(r"gs://[a-z0-9][a-z0-9._-]*(/.*)?", re.DOTALL)


def normalized(parameter: str, text: str) -> str:
    """Return an address as `gs://bucket/name` or as an absolute path, no slash behind.

    `/gcs/bucket/name`, how a step sees a bucket, is that bucket; `file://` is a path.

    Args:
        parameter: Who gave it, for the message.
        text: What was given.

    Raises:
        InvalidArgumentError: It is another kind of address.
    """
    address = text.strip()
    if address.startswith(_MOUNTED):
        address = f"gs://{address.removeprefix(_MOUNTED)}"
    if address.startswith("file:///"):
        address = urllib.parse.unquote(address.removeprefix("file://"))
    if not _BUCKET_RE.fullmatch(address) and not address.startswith("/"):
        raise InvalidArgumentError(
            f"{parameter} {text!r:.200} is no gs:// address and no absolute path: give "
            "one such as gs://bucket/folder"
        )
    return address.rstrip("/") or "/"


def optional(parameter: str, text: str) -> str:
    """Return what `normalized` does, and nothing for nothing.

    Raises:
        InvalidArgumentError: It is another kind of address.
    """
    return normalized(parameter, text) if text.strip() else ""


def is_bucket(address: str) -> bool:
    """Return whether a normalized address is in a bucket."""
    return address.startswith("gs://")


def joined(folder: str, name: str) -> str:
    """Return the address of a name below a folder."""
    return f"{folder.rstrip('/')}/{name}"


def divided(address: str) -> tuple[str, str]:
    """Return the folder and the last name of a normalized address."""
    folder, _, name = address.rpartition("/")
    return folder, name


def in_bucket(address: str) -> tuple[str, str]:
    """Return the bucket and the object's name of a `gs://` address."""
    bucket, _, name = address.removeprefix("gs://").partition("/")
    return bucket, name


def is_plain(name: str) -> bool:
    """Return whether a text names one file, and no way to it."""
    return name == posixpath.basename(name) and name not in {"", ".", ".."}
