"""`homeport env`: what tells other programs of a server, to be sourced by a shell."""

import shlex
import urllib.parse
from pathlib import Path
from typing import Final

import click

from homeport.cli import datadir, options
from homeport.errors import InvalidArgumentError, NotFoundError

_PROGRAMS: Final = ("homeport", "sdk", "storage", "gcloud", "gsutil")
_EPILOG: Final = """\b
Examples:
  eval "$(homeport env)"
  eval "$(homeport env gsutil --tls-url https://localhost:8443)"
  homeport env gcloud > homeport.env && . ./homeport.env
"""
_CACHE: Final = "${XDG_CACHE_HOME:-$HOME/.cache}/homeport"


@click.command(epilog=_EPILOG)
@click.argument("programs", nargs=-1, type=click.Choice(_PROGRAMS))
@click.option(
    "--tls-url",
    default="",
    help="Where the server speaks HTTPS, such as https://localhost:8443; gsutil speaks "
    "nothing else.",
)
@datadir.option(exists=False)
@options.server_options
def env(
    programs: tuple[str, ...], *, tls_url: str, data_dir: Path, **server: str
) -> None:
    """Print the exports by which PROGRAMS find the server; all of them by default.

    homeport: this command. sdk: google-cloud-aiplatform over REST, which takes the
    server's address from no variable: its line is a comment. storage: the Python
    library google-cloud-storage. gcloud: `gcloud ai` and `gcloud storage`, with a
    configuration of their own. gsutil: a boto file that is written when the lines are
    sourced; only with --tls-url, unless it is asked for.
    """
    with options.connect(**server) as connection:
        address = connection.address
    chosen = programs or tuple(one for one in _PROGRAMS if one != "gsutil" or tls_url)
    lines: dict[str, None] = {}
    for one in chosen:
        match one:
            case "homeport":
                lines |= _exports(
                    HOMEPORT_URL=address.url,
                    HOMEPORT_PROJECT=address.project,
                    HOMEPORT_REGION=address.location,
                )
            case "gcloud":
                lines |= _gcloud(address.url, address.project, address.location)
            case "gsutil":
                lines |= _gsutil(tls_url, address.project, data_dir)
            case _:
                lines |= _exports(STORAGE_EMULATOR_HOST=address.url)
                if one == "sdk":
                    lines |= _sdk(address.url, address.project, address.location)
    click.echo("\n".join(lines))


def _exports(**variables: str) -> dict[str, None]:
    return {
        f"export {name}={shlex.quote(value)}": None for name, value in variables.items()
    }


def _sdk(url: str, project: str, region: str) -> dict[str, None]:
    line = (
        f"# aiplatform.init(project={project!r}, location={region!r}, "
        f'api_endpoint={url!r}, api_transport="rest", '
        "credentials=google.auth.credentials.AnonymousCredentials())"
    )
    return {line: None}


def _gcloud(url: str, project: str, region: str) -> dict[str, None]:
    prefix = "CLOUDSDK_API_ENDPOINT_OVERRIDES"
    return {
        **_exports(
            **{
                f"{prefix}_AIPLATFORM": f"{url}/",
                f"{prefix}_STORAGE": f"{url}/storage/v1/",
                "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
                "CLOUDSDK_CORE_PROJECT": project,
                "CLOUDSDK_AI_REGION": region,
            }
        ),
        # Whatever somebody has configured of Google's stays as it is.
        f'export CLOUDSDK_CONFIG="{_CACHE}/gcloud"': None,
        'mkdir -p "$CLOUDSDK_CONFIG"': None,
    }


def _gsutil(tls_url: str, project: str, data_dir: Path) -> dict[str, None]:
    """Return the lines that write a boto file and name it.

    Raises:
        InvalidArgumentError: There is no address with HTTPS.
        NotFoundError: There are no certificates.
    """
    parsed = urllib.parse.urlsplit(tls_url)
    if parsed.scheme != "https" or not parsed.hostname:
        given = (
            f"{tls_url!r} is no address of that" if tls_url else "no --tls-url is given"
        )
        raise InvalidArgumentError(
            f"gsutil speaks HTTPS alone, and {given}: start the server with `homeport "
            "serve --tls-port 8443` and give --tls-url https://localhost:8443"
        )
    bundle = (data_dir / "tls" / "bundle.pem").absolute()
    if not bundle.is_file():
        raise NotFoundError(
            f"there are no certificates in {str(data_dir)!r} that gsutil could trust: "
            "make them with `homeport tls init`, or name their --data-dir"
        )
    boto = (
        f"[Credentials]\ngs_json_host = {parsed.hostname}\n"
        f"gs_json_port = {parsed.port or 443}\n"
        f"[Boto]\nca_certificates_file = {bundle}\n"
        f"[GSUtil]\ndefault_project_id = {project}\n[OAuth2]"
    )
    return {
        f'mkdir -p "{_CACHE}"': None,
        f'export BOTO_CONFIG="{_CACHE}/boto"': None,
        f"printf '%s\\n' {shlex.quote(boto)} > \"$BOTO_CONFIG\"": None,
    }
