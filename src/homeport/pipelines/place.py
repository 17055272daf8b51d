"""Which project, location and service a step speaks to."""

import dataclasses
import re
import urllib.parse
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.pipelines import parameters

_NAME_RE: Final = re.compile(r"[a-z0-9][a-z0-9:.-]*")
_GOOGLE: Final = "googleapis.com"


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where resources are made.

    Attributes:
        project: Its id or number.
        location: A region, such as us-central1.
        api_endpoint: Another service than Vertex AI's own of that region: a host, or
            its URL. "" for Vertex AI's.
    """

    project: str
    location: str
    api_endpoint: str = ""

    def __post_init__(self) -> None:
        for name, value in (("project", self.project), ("location", self.location)):
            parameters.required(name, value)
            if not _NAME_RE.fullmatch(value):
                raise InvalidArgumentError(
                    f"{name} is {value!r:.80}: give it as Google Cloud writes it, in "
                    "lower case letters, digits and hyphens"
                )
        if not urllib.parse.urlsplit(self.url).hostname:
            raise InvalidArgumentError(
                f"api_endpoint {self.api_endpoint!r:.80} is no address of a service: "
                "give one such as http://127.0.0.1:8080, or leave it out for Vertex AI"
            )

    @property
    def parent(self) -> str:
        """`projects/{project}/locations/{location}`."""
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def url(self) -> str:
        """The service's address, with its scheme and no slash behind."""
        address = self.api_endpoint or f"{self.location}-aiplatform.{_GOOGLE}"
        if not re.match(r"https?://", address):
            address = f"https://{address}"
        return address.rstrip("/")

    @property
    def is_google(self) -> bool:
        """Whether it is Google's own service."""
        host = urllib.parse.urlsplit(self.url).hostname or ""
        return host == _GOOGLE or host.endswith(f".{_GOOGLE}")

    def resource(self, parameter: str, collection: str, wanted: str) -> str:
        """Return the full name of what is given as a full name or as a bare id.

        Args:
            parameter: Who gave it, for the message.
            collection: Such as "models".
            wanted: The full name or the id.

        Raises:
            InvalidArgumentError: It is neither, or of another location.
        """
        parts = wanted.strip().split("/")
        if len(parts) == 1 and re.fullmatch(r"[\w-]+", parts[0], re.ASCII):
            return f"{self.parent}/{collection}/{parts[0]}"
        full = rf"projects/[^/@]+/locations/([^/@]+)/{collection}/[\w-]+"
        match = re.fullmatch(full, wanted.strip(), re.ASCII)
        if match is None:
            raise InvalidArgumentError(
                f"{parameter} {wanted!r:.200} is no resource name and no id: give "
                f"projects/.../locations/.../{collection}/ID, or ID alone, without a "
                "version"
            )
        if match[1] != self.location:
            raise InvalidArgumentError(
                f"{parameter} {wanted!r:.200} is in {match[1]}, and this step works in "
                f"{self.location}: give one of that location"
            )
        return wanted.strip()
