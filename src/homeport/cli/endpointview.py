"""An endpoint as people see it: a row for each deployed model."""

from typing import Final

from homeport.cli import output
from homeport.cli.output import Column, Output
from homeport.client.resources import Document


def _share(one: Document) -> str:
    if not one["deployed"]:
        return ""
    return f"{one.get('trafficSplit', {}).get(one['deployed']['id'], 0)} %"


COLUMNS: Final[tuple[Column, ...]] = (
    ("ENDPOINT", lambda one: output.last_segment(one["name"])),
    ("DISPLAY NAME", lambda one: one.get("displayName")),
    ("DEPLOYED MODEL", lambda one: one["deployed"].get("id")),
    ("VERSION", lambda one: _version(one["deployed"])),
    ("TRAFFIC", _share),
)


def show(found: Document, form: Output) -> None:
    """Print one endpoint."""
    if form is Output.TABLE:
        output.show_list(rows(found), form, COLUMNS)
    else:
        output.show(found, form, COLUMNS)


def rows(endpoint: Document) -> list[Document]:
    """Return an endpoint as a row for each deployed model, or one for none."""
    return [
        {**endpoint, "deployed": deployed}
        for deployed in endpoint.get("deployedModels") or [{}]
    ]


def _version(deployed: Document) -> str:
    if not deployed:
        return ""
    return f"{output.last_segment(deployed['model'])}@{deployed['modelVersionId']}"
