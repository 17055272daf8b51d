"""With which credentials a step calls: the environment's."""

import os
from typing import Final

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError

from homeport.errors import UnauthenticatedError
from homeport.pipelines.place import Place

_FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)


def find(place: Place) -> Credentials:
    """Return the application default credentials of this environment.

    A service that is not Google's may want none. One that is spoken to in the clear is
    shown no others than those that a file was named for.

    Raises:
        UnauthenticatedError: There are none, and Google wants some.
    """
    if not _may_be_told(place.url):
        return AnonymousCredentials()
    try:
        found, _ = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError as error:
        if not place.is_google:
            return AnonymousCredentials()
        raise UnauthenticatedError(
            f"this environment has no credentials for {place.url}: say `gcloud auth "
            f"application-default login`, set {_FILE}, or run the step with a service "
            "account"
        ) from error
    return found


def shown_to(url: str, found: Credentials) -> Credentials:
    """Return what is shown to an address beside the service's: as `find` has it."""
    return found if _may_be_told(url) else AnonymousCredentials()


def _may_be_told(url: str) -> bool:
    return url.startswith("https://") or bool(os.environ.get(_FILE))
