"""ModelService over REST, what is asked most: get, list, list versions.

Before the routes: such a request goes through none of their layers.
"""

import asyncio
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from homeport.api import requests
from homeport.edge import masks, messages, translate
from homeport.registry.catalog import Catalog
from homeport.resources.model import ModelVersion
from homeport.resources.names import ModelName, Parent

_VERBS: Final = frozenset({"GET", "HEAD"})
_PATH: Final = re.compile(
    r"/v1(?:beta1)?/(?P<parent>projects/[^/]+/locations/[^/]+)/models"
    r"(?P<model>/[^/:]+(?P<versions>:listVersions)?)?"
)


class ModelReads:
    """Answers the methods by which models are found.

    Args:
        catalog: Where.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @staticmethod
    def match(scope: Scope) -> re.Match[str] | None:
        """Return what a request asks for, None if it is not for these methods."""
        if scope["type"] != "http" or scope["method"] not in _VERBS:
            return None
        return _PATH.fullmatch(scope["path"])

    async def answer(self, asked: re.Match[str], request: Request) -> Response:
        """Return the answer to one request.

        Args:
            asked: What `match` returned.
            request: The same request.

        Raises:
            HomeportError: As the catalog does.
        """
        if asked["model"] is None:
            return await self._list_models(Parent.parse(asked["parent"]), request)
        text = f"{asked['parent']}/models{asked['model']}"
        if asked["versions"] is not None:
            name = ModelName.parse(text.removesuffix(asked["versions"]))
            return await self._list_versions(name, request)
        return await self._get(ModelName.parse(text))

    async def _get(self, name: ModelName) -> Response:
        version = await asyncio.to_thread(self._catalog.get, name)
        # ModelRegistry.update_version patches whatever name it read here.
        versioned = bool(name.version)
        return requests.answer(translate.model_message(version, versioned=versioned))

    async def _list_models(self, parent: Parent, request: Request) -> Response:
        page = requests.page_request(request, "ListModels", str(parent))
        found = await asyncio.to_thread(self._catalog.list_models, parent, page)
        return _page(found, requests.query_value(request, "read_mask"), versioned=False)

    async def _list_versions(self, name: ModelName, request: Request) -> Response:
        page = requests.page_request(request, "ListModelVersions", str(name))
        found = await asyncio.to_thread(self._catalog.list_versions, name, page)
        return _page(found, requests.query_value(request, "read_mask"), versioned=True)


def _page(
    found: tuple[list[ModelVersion], str], read_mask: str, *, versioned: bool
) -> Response:
    versions, token = found
    whole = (translate.model_message(one, versioned=versioned) for one in versions)
    shown = masks.shown(messages.ModelMessage, whole, read_mask)
    return requests.answer(
        messages.ListModelsResponse.made(models=shown, next_page_token=token)
    )
