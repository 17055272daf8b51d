"""Where versions come from, over REST: ours, not Vertex AI's."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import scalars
from homeport.edge.codec import Message
from homeport.registry.provenance import Provenances
from homeport.resources.lineage import UPLOADED_BY, Provenance
from homeport.resources.names import ModelName, Parent

_MODEL: Final = "/homeport/v1/projects/{project}/locations/{location}/models/{model}"
# Whatever an author wrote: nothing of it is to run in a browser.
_TEXT_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


class Readme(Message):
    """A README to be kept."""

    text: str = ""


def router(provenances: Provenances) -> APIRouter:
    """Return the routes about lineage and READMEs."""
    routes = APIRouter()

    @routes.get(_MODEL + "/lineage")
    async def get_lineage(project: str, location: str, model: str) -> Response:
        name = _name(project, location, model)
        found = await asyncio.to_thread(provenances.get, name)
        return requests.answer(document(found))

    @routes.get(_MODEL + "/readme")
    async def get_readme(project: str, location: str, model: str) -> Response:
        name = _name(project, location, model)
        _, text = await asyncio.to_thread(provenances.readme, name)
        return Response(
            text.encode(),
            media_type="text/plain; charset=UTF-8",
            headers=_TEXT_HEADERS,
        )

    @routes.put(_MODEL + "/readme")
    async def put_readme(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        message = await requests.read(request, Readme)
        version = await asyncio.to_thread(
            provenances.put_readme,
            _name(project, location, model),
            message.text,
            caller=requests.caller(request),
        )
        return requests.answer({"model": str(version.name)})

    return routes


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


def _name(project: str, location: str, model: str) -> ModelName:
    return ModelName.parse(f"{Parent(project, location)}/models/{model}")
