"""Every method of the services we speak, from the official client's own http rules.

Run as a script it writes the table of them into docs/compatibility.md.
"""

import dataclasses
import functools
import inspect
import pathlib
import re
import types
import typing
import warnings
from collections.abc import Iterable, Iterator, MutableMapping

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match, Mount, Route

from homeport.api import app, described, unimplemented
from homeport.api.model_calls import ModelCalls
from homeport.api.model_reads import ModelReads
from homeport.api.predictions import Predictions

with warnings.catch_warnings():
    # The client's own imports warn about each other.
    warnings.simplefilter("ignore")
    from google.cloud.aiplatform_v1.services.endpoint_service.transports import (
        rest_base as endpoint_rules,
    )
    from google.cloud.aiplatform_v1.services.job_service.transports import (
        rest_base as job_rules,
    )
    from google.cloud.aiplatform_v1.services.model_service.transports import (
        rest_base as model_rules,
    )
    from google.cloud.aiplatform_v1.services.prediction_service.transports import (
        rest_base as prediction_rules,
    )

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "compatibility.md"
BEGIN = "<!-- Written by `make methods`. -->\n"
END = "<!-- End of what `make methods` writes. -->\n"

# Methods that every service has, of which a rule for each kind of resource there is.
MIXINS = re.compile(
    r"(?:Get|List|Cancel|Delete|Wait)Operations?|(?:Get|List)Locations?|"
    r"(?:Get|Set)IamPolicy|TestIamPermissions"
)
OUR_RESOURCES = re.compile(
    r"/(?:v1|ui)/projects/\*(?:/locations(?:/\*(?:/(?:models|endpoints)/\*)?"
    r"(?:/operations(?:/\*)?)?)?)?(?::\w+)?"
)


@dataclasses.dataclass(frozen=True, order=True)
class Rule:
    """One way to call a method: `POST /v1/projects/*/locations/*/models:copy`."""

    service: str
    rpc: str
    verb: str
    path: str

    @property
    def sample(self) -> str:
        """The path with a name for each star."""
        return self.path.replace("*", "x1")


def rules() -> list[Rule]:
    """Return every rule of our services, for the resources that are ours."""
    found = set()
    for service, module in (
        ("ModelService", model_rules),
        ("EndpointService", endpoint_rules),
        ("PredictionService", prediction_rules),
        ("JobService", job_rules),
    ):
        found |= set(of_service(service, transport(module)))
    ours = found - {rule for rule in found if rule.service == "JobService"}
    jobs = {rule for rule in found - ours if "BatchPredictionJob" in rule.rpc}
    return sorted(ours | jobs)


def transport(module: types.ModuleType) -> type:
    """Return the class of a module that has a class for each method."""
    (found,) = (
        member
        for name, member in inspect.getmembers(module, inspect.isclass)
        if re.fullmatch(r"_Base\w+RestTransport", name)
    )
    return found


def of_service(service: str, methods: type) -> Iterator[Rule]:
    for name, method in inspect.getmembers(methods, inspect.isclass):
        read = getattr(method, "_get_http_options", None)
        if not name.startswith("_Base") or read is None:
            continue
        rpc = name.removeprefix("_Base")
        mixin = MIXINS.fullmatch(rpc)
        for option in read():
            # `{parent=projects/*/locations/*}` is its pattern.
            path = re.sub(r"\{[\w.]+=([^}]+)\}", r"\1", option["uri"])
            if mixin and not OUR_RESOURCES.fullmatch(path):
                continue
            yield Rule(
                "every service" if mixin else service,
                rpc,
                option["method"].upper(),
                path,
            )


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What takes a request: the method that answers or refuses it."""

    rpc: str
    is_refused: bool = False


def chosen(verb: str, path: str) -> Chosen | None:
    """Return what the application chooses for a request, None if nothing takes it."""
    scope = {"type": "http", "method": verb, "path": path}
    # In the order of `app.build`.
    if Predictions.match(scope):
        return Chosen("Predict")
    if (call := ModelCalls.match(scope)) is not None:
        return Chosen(call.verb[0].upper() + call.verb[1:])
    if (asked := ModelReads.match(scope)) is not None:
        if asked["versions"]:
            return Chosen("ListModelVersions")
        return Chosen("GetModel" if asked["model"] else "ListModels")
    route = routed(control_plane().routes, scope)
    return None if route is None else method_of(route, verb)


@functools.cache
def control_plane() -> Starlette:
    """Return the application behind the short ways, with nothing to call."""
    rooms: typing.Any = {one.name: Room() for one in dataclasses.fields(app.Verbs)}
    return app._control_plane(  # noqa: SLF001  # the routes as they are put together
        app.Verbs(**rooms), storage=[], tls_port=None
    )


class Room:
    """What routes only keep: anything may be asked of it, and nothing comes of it."""

    def __getattr__(self, name: str) -> None:
        return None


def routed(
    routes: Iterable[BaseRoute], scope: MutableMapping[str, typing.Any]
) -> Route | None:
    """Return the first route that takes a request, as Starlette looks for it."""
    for one in routes:
        match, child = one.matches(scope)
        if match is not Match.FULL:
            continue
        if isinstance(one, Mount):
            # What is not found there is looked for nowhere else.
            return routed(one.routes, {**scope, **child})
        assert isinstance(one, Route)
        return one
    return None


def method_of(route: Route, verb: str) -> Chosen:
    """Return the method behind a route."""
    for one in unimplemented.METHODS:
        if route.name == "refuse" and (one.verb, one.path) == (verb, route.path):
            return Chosen(one.rpc, is_refused=True)
    return Chosen(described.BY_FUNCTION[route.name].rpc)


def is_answered(rule: Rule) -> bool:
    """Tell whether the application takes the rule's requests for its method."""
    return chosen(rule.verb, rule.sample) == Chosen(rule.rpc)


def is_refused(rule: Rule) -> bool:
    """Tell whether the application refuses the rule's requests by its name."""
    return chosen(rule.verb, rule.sample) == Chosen(rule.rpc, is_refused=True)


def table() -> str:
    """Return the table of all rules in Markdown."""
    lines = ["| method | request | here |", "|---|---|---|"]
    for rule in rules():
        here = "answered" if is_answered(rule) else "UNIMPLEMENTED"
        asked = f"{rule.verb} {rule.path}"
        lines.append(f"| {rule.service}.{rule.rpc} | `{asked}` | {here} |")
    return "\n".join(lines) + "\n"


def written() -> str:
    """Return the document with the table as it should be."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(), encoding="utf-8")
