"""The server does what its own description says, whatever is sent to a method.

schemathesis makes requests out of the description, as it says and otherwise; names that
are there and texts worth reading are put in their places.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from servers import PARENT, Server
from vertex_methods import is_answered, rules

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

Operation = Any
# Where all else is answered by the same functions.
REPEATED: Final = ("/v1beta1/", "/ui/")
PROJECT, LOCATION = PARENT.split("/")[1::2]
CONTAINER: Final = {"imageUri": "example.com/m:1"}
METRICS: Final = {"metricsSchemaUri": "gs://b/metrics.yaml", "metrics": {"auRoc": 1}}
# A body that does something, by method; others mean something as they are described.
BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "UploadModel": {"model": {"displayName": "m", "containerSpec": CONTAINER}},
    "CopyModel": {"sourceModel": "fuzzed"},
    "MergeVersionAliases": {"versionAliases": ["beta"]},
    "ImportModelEvaluation": {"modelEvaluation": METRICS},
    "BatchImportModelEvaluationSlices": {
        "modelEvaluationSlices": [
            {"slice": {"dimension": "d", "value": "v"}, "metrics": {"auRoc": 1}}
        ]
    },
    "CreateEndpoint": {"displayName": "e"},
    "PutReadme": {"text": "# m"},
}
WRONG_IDS: Final = ["nothing", "fuzzed@9", "0", "@", "a b", "ä", "-"]
TEXTS: Final = st.sampled_from(
    [
        *("", "*", "-1", "1e9", "displayName", "labels.a", "labels.`", "create_time"),
        *('display_name="m"', "labels.a=b", "NOT (", "version_id=9999999999999999999"),
        *("create_time desc", "done=true", "AAAA", "名前", "metrics_schema_uri:*"),
        *("1s", "2026-01-31T12:00:00Z", "fuzzed@1", "\0"),
    ]
)
CHECKS: Final[list[Any]] = [
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]


@dataclasses.dataclass(frozen=True)
class Fuzzed:
    """A server, and what of it there is to be hit: ids by parameter of paths."""

    server: Server
    ids: Mapping[str, list[str]]


@pytest.fixture(scope="module")
def fuzzed(shared_server: Server) -> Fuzzed:
    """A server with a model of two versions, what belongs to it, and an endpoint."""

    def post(path: str, body: object) -> Any:
        status, answer = shared_server.call("POST", f"/v1/{PARENT}/{path}", body)
        assert status == 200, answer
        return answer

    model = {"displayName": "m", "containerSpec": CONTAINER}
    uploaded = post("models:upload", {"model": model, "modelId": "fuzzed"})
    shared_server.wait(uploaded)
    second = {**model, "versionAliases": ["golden"]}
    again = post("models:upload", {"model": second, "parentModel": "fuzzed"})
    shared_server.wait(again)
    measured = post("models/fuzzed/evaluations:import", BODIES["ImportModelEvaluation"])
    evaluation = measured["name"].rpartition("/")[2]
    slices = post(
        f"models/fuzzed/evaluations/{evaluation}/slices:batchImport",
        BODIES["BatchImportModelEvaluationSlices"],
    )
    made = post("endpoints", {"displayName": "e"})
    (slice_,) = slices["importedModelEvaluationSlices"]
    endpoint = made["response"]["name"].rpartition("/")[2]
    operations = [one["name"].rpartition("/")[2] for one in (uploaded, again, made)]
    return Fuzzed(
        shared_server,
        {
            "project": [PROJECT],
            "location": [LOCATION],
            "model": ["fuzzed", "fuzzed@1", "fuzzed@golden", "fuzzed@-"],
            "resource": ["fuzzed", endpoint],
            "endpoint": [endpoint],
            "evaluation": [evaluation],
            "slice": [slice_.rpartition("/")[2]],
            "operation": operations,
            "alias": ["golden", "default"],
        },
    )


@pytest.fixture(scope="module")
def description(fuzzed: Fuzzed) -> dict[str, Any]:
    """What the server says of itself."""
    status, document = fuzzed.server.call("GET", "/openapi.json")
    assert status == 200, document
    return dict(document)


def operations(description: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield all that is described."""
    for found in schemathesis.openapi.from_dict(dict(description)).get_all_operations():
        assert isinstance(found, Ok)
        yield found.ok()


def test_every_answered_method_of_vertex_is_described(
    description: Mapping[str, Any],
) -> None:
    described = [
        (verb.upper(), re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for path, methods in description["paths"].items()
        for verb in methods
    ]

    missing = [
        rule
        for rule in rules()
        if is_answered(rule)
        and not any(
            rule.verb == verb and re.fullmatch(path, rule.sample)
            for verb, path in described
        )
    ]

    assert missing == []


def test_the_description_is_an_openapi_document_on_its_own(
    description: Mapping[str, Any],
) -> None:
    whole = schemathesis.openapi.from_dict(dict(description))

    whole.validate()
    references = set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(description)))
    names = description["components"]["schemas"]
    assert {one.removeprefix("#/components/schemas/") for one in references} == set(
        names
    )
    identities = [
        one["operationId"]
        for methods in description["paths"].values()
        for one in methods.values()
    ]
    assert len(set(identities)) == len(identities)


def test_no_request_makes_the_server_fail_or_lie(
    fuzzed: Fuzzed, description: Mapping[str, Any]
) -> None:
    chosen = [
        one for one in operations(description) if not one.path.startswith(REPEATED)
    ]

    for operation in chosen:
        send_requests(fuzzed, operation, examples=6)


@pytest.mark.clients
@pytest.mark.timeout(1800)
def test_no_request_makes_the_server_fail_or_lie_at_length(
    fuzzed: Fuzzed, description: Mapping[str, Any]
) -> None:
    for operation in operations(description):
        send_requests(fuzzed, operation, examples=100)


def send_requests(fuzzed: Fuzzed, operation: Operation, examples: int) -> None:
    """Send so many requests for one method, and look at each answer."""

    @hypothesis.given(case=cases(operation, fuzzed.ids))
    @hypothesis.settings(
        max_examples=examples,
        # The same requests in every run.
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def send(case: Any) -> None:
        with requests.Session() as session:
            answer = case.call(base_url=fuzzed.server.url, session=session, timeout=60)

        assert answer.status_code < 500 or answer.status_code == 501, answer.text
        case.validate_response(answer, checks=CHECKS)

    send()


@st.composite
def cases(draw: st.DrawFn, operation: Operation, ids: Mapping[str, list[str]]) -> Any:
    """One request: mostly as described, and of names and texts that mean something."""
    mode = GenerationMode.POSITIVE
    if operation.body and draw(st.integers(0, 3)) == 3:
        mode = GenerationMode.NEGATIVE
    case = draw(operation.as_strategy(generation_mode=mode))
    for name in case.path_parameters or {}:
        case.path_parameters[name] = draw(path_words(name, operation.method, ids))
    for name in list(case.query or {}):
        if draw(st.booleans()):
            case.query[name] = draw(TEXTS)
    right = BODIES.get(operation.definition.raw["summary"])
    if right is not None and isinstance(case.body, dict) and draw(st.booleans()):
        # Right but for one field, at most.
        fields = draw(st.lists(st.sampled_from(sorted(case.body) or [""]), max_size=1))
        case.body = {**right, **{one: case.body[one] for one in fields if one}}
    return case


def path_words(
    name: str, verb: str, ids: Mapping[str, list[str]]
) -> st.SearchStrategy[str]:
    """Return what stands in a path: something that is there, or not, or cannot be."""
    there = ids.get(name, [])
    if name in {"project", "location"}:
        return st.sampled_from(there)
    wrong = st.sampled_from(WRONG_IDS) | st.text(min_size=1, max_size=12)
    # What others need is not deleted.
    return wrong if verb == "delete" or not there else st.sampled_from(there) | wrong
