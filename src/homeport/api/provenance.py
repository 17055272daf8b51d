"""Where versions come from, over REST: ours, not Vertex AI's."""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import scalars
from homeport.edge.codec import Message
from homeport.registry.provenance import Provenances
from homeport.resources.lineage import UPLOADED_BY, Provenance

_MODEL: Final = "/homeport/v1" + requests.MODEL
# Whatever an author wrote: nothing of it is to run in a browser.
_TEXT_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


class Readme(Message):
    """A README to be kept."""

    text: str = ""


def routes(provenances: Provenances) -> list[Route]:
    """Return the routes about lineage and READMEs."""

    async def get_lineage(request: Request) -> Response:
        name = requests.model_name(request)
        found = await asyncio.to_thread(provenances.get, name)
        return requests.answer(document(found))

    async def get_readme(request: Request) -> Response:
        name = requests.model_name(request)
        _, text = await asyncio.to_thread(provenances.readme, name)
        return Response(
            text.encode(),
            media_type="text/plain; charset=UTF-8",
            headers=_TEXT_HEADERS,
        )

    async def put_readme(request: Request) -> Response:
        message = await requests.read(request, Readme)
        version = await asyncio.to_thread(
            provenances.put_readme,
            requests.model_name(request),
            message.text,
            caller=requests.caller(request),
        )
        return requests.answer({"model": str(version.name)})

    return [
        Route(_MODEL + "/lineage", get_lineage, methods=["GET"]),
        Route(_MODEL + "/readme", get_readme, methods=["GET"]),
        Route(_MODEL + "/readme", put_readme, methods=["PUT"]),
    ]


def document(found: Provenance) -> dict[str, Any]:
    """Return where a version comes from, as clients read it."""
    version = found.version
    source: dict[str, Any] = {"artifactUri": version.artifact_uri}
    if version.artifact is not None:
        source["digest"] = version.artifact.digest
        source["sizeBytes"] = str(version.artifact.size_bytes)
        source["files"] = [
            {"path": one.path, "sha256": one.sha256, "sizeBytes": str(one.size_bytes)}
            for one in version.artifact.files
        ]
    check = {"state": found.check.state.value, "detail": found.check.detail}
    if found.check.time is not None:
        check["time"] = scalars.write_timestamp(found.check.time)
    copied = {"copiedFrom": str(version.copied_from)} if version.copied_from else {}
    return {
        "model": str(version.name),
        "uploadedBy": found.lineage.get(UPLOADED_BY, ""),
        "uploadTime": scalars.write_timestamp(version.version_create_time),
        "lineage": dict(found.lineage),
        "source": source,
        "check": check,
        **copied,
    }
