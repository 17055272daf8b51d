"""From a Python program's words, or the environment's, to a connection."""

import getpass
import os
from typing import Final

from homeport.client.connection import Address, Connection

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DEFAULT_PROJECT: Final = "homeport"
# A region of Vertex AI: the official SDK refuses any other word.
DEFAULT_REGION: Final = "us-central1"


def connect(
    url: str = "", project: str = "", location: str = "", timeout_s: float = 300.0
) -> Connection:
    """Return a connection; what is "" is read from HOMEPORT_URL and its like.

    A URL without a scheme is one of plain HTTP.

    Raises:
        InvalidArgumentError: The address has no URL of a server.
    """
    told = url or os.environ.get("HOMEPORT_URL") or DEFAULT_URL
    full = told if "://" in told else f"http://{told}"
    address = Address(
        full.rstrip("/"),
        project or os.environ.get("HOMEPORT_PROJECT") or DEFAULT_PROJECT,
        location or os.environ.get("HOMEPORT_REGION") or DEFAULT_REGION,
    )
    return Connection(address, _caller(), timeout_s=timeout_s)


def _caller() -> str:
    """Return whom the server's history shall name."""
    told = os.environ.get("HOMEPORT_CALLER")
    if told is not None:
        return told
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An account without a name, as in many containers.
        return ""
