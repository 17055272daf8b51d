"""The token endpoint: an access token for what an account signed (RFC 7523)."""

import asyncio
import urllib.parse
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeport.errors import UnauthenticatedError
from homeport.identity.tokens import Tokens

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_BAD_REQUEST: Final = 400


def routes(tokens: Tokens) -> list[Route]:
    """Return the route that Google's clients find in a key as `token_uri`."""

    async def exchange(request: Request) -> Response:
        form = urllib.parse.parse_qs((await request.body()).decode("latin-1"))
        grant = form.get("grant_type", [""])[0]
        if grant != _GRANT:
            return _refused("unsupported_grant_type", f"expected {_GRANT}")
        try:
            assertion = form.get("assertion", [""])[0]
            token = await asyncio.to_thread(tokens.exchange, assertion)
        except UnauthenticatedError as error:
            return _refused("invalid_grant", error.message)
        return JSONResponse(
            {
                "access_token": token.text,
                "expires_in": int(token.lifetime.total_seconds()),
                "token_type": "Bearer",
            },
            headers={"cache-control": "no-store"},
        )

    return [Route("/token", exchange, methods=["POST"])]


def _refused(error: str, description: str) -> Response:
    # RFC 6749, section 5.2.
    document = {"error": error, "error_description": description}
    return JSONResponse(document, _BAD_REQUEST, {"cache-control": "no-store"})
