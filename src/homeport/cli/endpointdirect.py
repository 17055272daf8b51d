"""`homeport endpoints direct-predict` and its kin: tensors, and paths of a model's own.

What they send is the API's own JSON; nothing of it is looked at here.
"""

import urllib.parse
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from homeport.cli import options, output, rawbodies, values
from homeport.cli.output import Output
from homeport.client import registry, resources, traffic
from homeport.errors import InvalidArgumentError

_F = TypeVar("_F", bound=Callable[..., Any])
_JSON_REQUEST: Final = "--json-request"
_FORMS: Final = click.option(
    "--output", "form", type=click.Choice(["json", "yaml"]), default="json"
)


def _json_request(example: str) -> Callable[[_F], _F]:
    return click.option(_JSON_REQUEST, required=True, metavar="FILE|-", help=example)


@click.command("direct-predict")
@click.argument("endpoint")
@_json_request('{"inputs": [{"dtype": "FLOAT", "shape": [1], "floatVal": [0.5]}]}')
@_FORMS
@options.server_options
def direct_predict(
    endpoint: str, *, json_request: str, form: str, **server: str
) -> None:
    """Send tensors to ENDPOINT, each an instance, and print the tensors it answers."""
    _ask(endpoint, "directPredict", json_request, form, server)


@click.command("direct-raw-predict")
@click.argument("endpoint")
@_json_request('{"methodName": "my/method", "input": BASE64}')
@_FORMS
@options.server_options
def direct_raw_predict(
    endpoint: str, *, json_request: str, form: str, **server: str
) -> None:
    """Send bytes to ENDPOINT, written as base64, and print those it answers."""
    _ask(endpoint, "directRawPredict", json_request, form, server)


@click.command("server-streaming-predict")
@click.argument("endpoint")
@_json_request('{"inputs": [{"dtype": "FLOAT", "shape": [1], "floatVal": [0.5]}]}')
@options.server_options
def server_streaming_predict(
    endpoint: str, *, json_request: str, **server: str
) -> None:
    """Send tensors to ENDPOINT and print its answers as they come, one JSON array."""
    body = values.read(json_request, _JSON_REQUEST)
    _document(body, json_request)
    with options.connect(**server) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        rawbodies.send(connection, f"/v1/{name}:serverStreamingPredict", body, {})


@click.command("invoke")
@click.argument("endpoint")
@click.argument("path")
@rawbodies.REQUEST
@rawbodies.HEADERS
@click.option("--deployed-model-id", help="Who is asked, whatever the traffic.")
@options.server_options
def invoke(
    endpoint: str,
    path: str,
    *,
    request: str,
    http_headers: dict[str, str],
    deployed_model_id: str | None,
    **server: str,
) -> None:
    """Send a body to PATH of the model at ENDPOINT, and print what it answers.

    PATH is one of the handler's or container's own, such as v1/chat/completions.
    """
    body = values.content(request, "--request")
    quoted = _quoted(path)
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        whom = ""
        if deployed_model_id:
            deployed = traffic.find_deployed(found, deployed_model_id)
            whom = f"/deployedModels/{deployed.id}"
        asked = f"/v1/{found.name}{whom}/invoke/{quoted}"
        rawbodies.send(connection, asked, body, http_headers)


def _quoted(path: str) -> str:
    """Return a path as it is sent.

    Raises:
        InvalidArgumentError: It is none, or leads out of the model's own.
    """
    stripped = path.lstrip("/")
    if not stripped or {".", ".."} & set(stripped.split("/")):
        raise InvalidArgumentError(
            f"PATH is {path!r}: give one of the model's own, such as "
            "v1/chat/completions"
        )
    return urllib.parse.quote(stripped)


def _ask(
    endpoint: str, verb: str, request: str, form: str, server: dict[str, str]
) -> None:
    body = _document(values.read(request, _JSON_REQUEST), request)
    with options.connect(**server) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        answer = connection.post(f"/v1/{name}:{verb}", body)
    output.show_document(answer, Output(form))


def _document(body: bytes, name: str) -> dict[str, Any]:
    document = values.document(body, _JSON_REQUEST)
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            f"{_JSON_REQUEST} {name}: a request is a JSON object; --help has one"
        )
    return document
