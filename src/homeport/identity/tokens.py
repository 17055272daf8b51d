"""Tokens: JSON Web Tokens that accounts sign, and access tokens given for them.

RFC 7515, 7519 and 7523, as far as Google's clients go. One algorithm, RS256: a token
does not choose how it is verified.
"""

import base64
import binascii
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from homeport.errors import UnauthenticatedError
from homeport.identity.accounts import AccountKeys

LIFETIME: Final = dt.timedelta(hours=1)
_SKEW: Final = dt.timedelta(minutes=1)
_PREFIX: Final = "homeport-"
_LABEL: Final = b"access token"
_MAX_CHARACTERS: Final = 8192
_TAG_BYTES: Final = hashlib.sha256().digest_size
_SEGMENTS: Final = 3
_LATEST_S: Final = 1 << 40


@dataclasses.dataclass(frozen=True, slots=True)
class AccessToken:
    """What a bearer shows.

    Attributes:
        text: The token, opaque to clients.
        lifetime: How long it is good.
    """

    text: str
    lifetime: dt.timedelta = LIFETIME


class Tokens:
    """Gives and verifies tokens.

    Args:
        keys: Those of accounts.
        secret: What access tokens are made with, the server's own.
        now: The time, aware.
    """

    def __init__(
        self, keys: AccountKeys, secret: bytes, now: Callable[[], dt.datetime]
    ) -> None:
        self._keys = keys
        self._secret = hmac.digest(secret, _LABEL, hashlib.sha256)
        self._now = now

    def exchange(self, assertion: str) -> AccessToken:
        """Return an access token for a token that an account signed.

        Raises:
            UnauthenticatedError: No account of this server signed it, or it is over.
        """
        key_id = self._verified(assertion)
        ends = int((self._now() + LIFETIME).timestamp())
        payload = json.dumps({"kid": key_id, "exp": ends}).encode()
        tag = hmac.digest(self._secret, payload, hashlib.sha256)
        return AccessToken(
            _PREFIX + base64.urlsafe_b64encode(tag + payload).decode().rstrip("=")
        )

    def check(self, bearer: str) -> None:
        """Refuse a token that says it is of this server, and is not.

        Opaque tokens of others say nothing and are let through: whoever reaches a
        server without them may do the same.

        Args:
            bearer: What follows the word Bearer.

        Raises:
            UnauthenticatedError: It is forged, over, or of a key that is no more.
        """
        if bearer.startswith(_PREFIX):
            self._check_access_token(bearer.removeprefix(_PREFIX))
        elif _is_jwt(bearer):
            self._verified(bearer)

    def _check_access_token(self, text: str) -> None:
        decoded = _decoded(text)
        tag, payload = decoded[:_TAG_BYTES], decoded[_TAG_BYTES:]
        expected = hmac.digest(self._secret, payload, hashlib.sha256)
        if not hmac.compare_digest(tag, expected):
            raise UnauthenticatedError("the access token is not one of this server's")
        document = json.loads(payload)
        if document["exp"] <= self._now().timestamp():
            raise UnauthenticatedError("the access token is over: ask for a new one")
        if self._keys.find(document["kid"]) is None:
            raise UnauthenticatedError("the access token is of a key that was deleted")

    def _verified(self, token: str) -> str:
        """Return the id of the key that signed a token."""
        signed, _, signature = token.rpartition(".")
        if len(token) > _MAX_CHARACTERS or not _is_jwt(token):
            raise UnauthenticatedError("the token is no JSON Web Token")
        header = _document(signed.partition(".")[0])
        if header.get("alg") != "RS256":
            raise UnauthenticatedError(
                f"the token is signed by {str(header.get('alg'))!r:.40}: expected RS256"
            )
        key = self._keys.find(str(header.get("kid", "")))
        if key is None or not key.verifies(_decoded(signature), signed.encode()):
            raise UnauthenticatedError(
                "the token is not signed with a key of this server: make one with "
                "homeport keys create, or use anonymous credentials"
            )
        self._check_claims(_document(signed.partition(".")[2]), key.email)
        return key.id

    def _check_claims(self, claims: Mapping[str, Any], email: str) -> None:
        if claims.get("iss") != email or claims.get("sub", email) != email:
            raise UnauthenticatedError(
                f"the token is signed with the key of {email}, and says it is of "
                f"{str(claims.get('iss'))!r:.80}"
            )
        begins, ends = _moment(claims, "iat"), _moment(claims, "exp")
        now = self._now().timestamp()
        skew = _SKEW.total_seconds()
        if ends <= now or begins > now + skew:
            raise UnauthenticatedError(
                "the token is over, or has not begun: sign a new one, by a clock that "
                "is right"
            )
        if ends - begins > LIFETIME.total_seconds() + skew:
            raise UnauthenticatedError(
                "the token is good for more than an hour: sign one for less"
            )


def _is_jwt(text: str) -> bool:
    """Tell whether a token says that it is a JSON Web Token."""
    segments = text.split(".")
    if len(segments) != _SEGMENTS:
        return False
    try:
        return "alg" in _document(segments[0])
    except UnauthenticatedError:
        return False


def _moment(claims: Mapping[str, Any], name: str) -> float:
    """Return a claim that is a time, in seconds since 1970."""
    value = claims.get(name)
    # NaN, which Python's JSON knows, would be neither before nor after anything.
    if isinstance(value, int | float) and -_LATEST_S < value < _LATEST_S:
        return float(value)
    raise UnauthenticatedError(f"the token does not say when it begins or ends: {name}")


def _document(segment: str) -> dict[str, Any]:
    try:
        document = json.loads(_decoded(segment))
    except (ValueError, RecursionError) as error:
        raise UnauthenticatedError("the token is no JSON Web Token") from error
    if not isinstance(document, dict):
        raise UnauthenticatedError("the token is no JSON Web Token")
    return document


def _decoded(segment: str) -> bytes:
    padded = segment + "=" * (-len(segment) % 4)
    try:
        return base64.b64decode(padded, b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnauthenticatedError("the token is damaged") from error
