"""`homeport endpoints predict`, `explain`, `raw-predict`, `stream-raw-predict`."""

from collections.abc import Mapping
from typing import Any, Final

import click

from homeport.cli import options, output, rawbodies, values
from homeport.cli.output import Output
from homeport.client import resources
from homeport.errors import InvalidArgumentError

_JSON_REQUEST: Final = "--json-request"


@click.command("predict")
@click.argument("endpoint")
@click.option(
    _JSON_REQUEST, required=True, metavar="FILE|-", help='{"instances": [...]}'
)
@click.option("--output", "form", type=click.Choice(["json", "yaml"]), default="json")
@options.server_options
def predict(endpoint: str, *, json_request: str, form: str, **server: str) -> None:
    """Send instances to ENDPOINT and print the whole answer."""
    _ask(endpoint, "predict", _body(json_request), form, server)


@click.command("explain")
@click.argument("endpoint")
@click.option(
    _JSON_REQUEST, required=True, metavar="FILE|-", help='{"instances": [...]}'
)
@click.option("--deployed-model-id", help="Who is asked, whatever the traffic.")
@click.option("--output", "form", type=click.Choice(["json", "yaml"]), default="json")
@options.server_options
def explain(
    endpoint: str,
    *,
    json_request: str,
    deployed_model_id: str | None,
    form: str,
    **server: str,
) -> None:
    """Ask for predictions of ENDPOINT and why they are so."""
    body = _body(json_request)
    if deployed_model_id:
        body["deployedModelId"] = deployed_model_id
    _ask(endpoint, "explain", body, form, server)


@click.command("raw-predict")
@click.argument("endpoint")
@rawbodies.REQUEST
@rawbodies.HEADERS
@options.server_options
def raw_predict(
    endpoint: str, *, request: str, http_headers: dict[str, str], **server: str
) -> None:
    """Send a body to ENDPOINT as it is, and print what the handler answers."""
    _send(endpoint, "rawPredict", request, http_headers, server)


@click.command("stream-raw-predict")
@click.argument("endpoint")
@rawbodies.REQUEST
@rawbodies.HEADERS
@options.server_options
def stream_raw_predict(
    endpoint: str, *, request: str, http_headers: dict[str, str], **server: str
) -> None:
    """Send a body to ENDPOINT as it is, and print the answer piece by piece."""
    _send(endpoint, "streamRawPredict", request, http_headers, server)


def _body(name: str) -> dict[str, Any]:
    document = values.document(values.read(name, _JSON_REQUEST), _JSON_REQUEST)
    if not isinstance(document, dict) or "instances" not in document:
        raise InvalidArgumentError(
            f'{_JSON_REQUEST} {name}: a request is {{"instances": [...]}}'
        )
    return document


def _ask(
    endpoint: str, verb: str, body: dict[str, Any], form: str, server: dict[str, str]
) -> None:
    with options.connect(**server) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        answer = connection.post(f"/v1/{name}:{verb}", body)
    output.show_document(answer, Output(form))


def _send(
    endpoint: str,
    verb: str,
    request: str,
    headers: Mapping[str, str],
    server: dict[str, str],
) -> None:
    body = values.content(request, "--request")
    with options.connect(**server) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        rawbodies.send(connection, f"/v1/{name}:{verb}", body, headers)
