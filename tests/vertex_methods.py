"""Every method of the services we speak, from the official client's own http rules.

Run as a script it writes the table of them into docs/compatibility.md.
"""

import dataclasses
import inspect
import pathlib
import re
import types
import typing
import warnings
from collections.abc import Iterable, Iterator

from starlette.routing import Match, Route

from homeport.api import (
    deployments,
    endpoints,
    evaluations,
    jobs,
    locations,
    models,
    operations,
    transfers,
    unimplemented,
)
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
NOTHING: typing.Any = None

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


def answering() -> list[Route]:
    """Return the routes that answer; they only keep what they are given."""
    return [
        *operations.routes(NOTHING, NOTHING),
        *locations.routes(NOTHING),
        *transfers.routes(NOTHING, NOTHING, NOTHING),
        *evaluations.routes(NOTHING),
        *jobs.routes(NOTHING, NOTHING),
        *models.routes(NOTHING, NOTHING, NOTHING),
        *deployments.routes(NOTHING, NOTHING, NOTHING),
        *endpoints.routes(NOTHING, NOTHING),
    ]


def is_answered(rule: Rule) -> bool:
    """Tell whether a route takes the rule's requests and does something."""
    scope = {"type": "http", "method": rule.verb, "path": rule.sample}
    matches = (Predictions.match, ModelCalls.match, ModelReads.match)
    if any(match(scope) for match in matches):
        return True
    return takes(answering(), rule)


def is_refused(rule: Rule) -> bool:
    """Tell whether a route takes the rule's requests and refuses them by name."""
    return takes(unimplemented.routes(), rule)


def takes(routes: Iterable[Route], rule: Rule) -> bool:
    path = re.sub(r"^/(v1|ui)", "", rule.sample)
    scope = {"type": "http", "method": rule.verb, "path": path}
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


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
