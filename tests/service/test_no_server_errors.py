"""Whatever a client sends to whichever method, the answer is no error of the server."""

import json
import urllib.parse
from typing import Any

import hypothesis
import pytest
from google.cloud import aiplatform_v1
from hypothesis import strategies as st

from homeport.edge import messages, messages_evaluations, messages_transfers
from servers import PARENT, Server
from vertex_methods import Rule, is_answered, rules
from wire_documents import FREE_JSON, documents

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

# What the body of a request is, where it is not `<method>Request`.
BODIES = {
    "UpdateModel": (messages.ModelMessage, "Model"),
    "CreateEndpoint": (messages.EndpointMessage, "Endpoint"),
    "UpdateEndpoint": (messages.EndpointMessage, "Endpoint"),
}
MODULES = (messages, messages_evaluations, messages_transfers)
ANSWERED = [rule for rule in rules() if is_answered(rule) and rule.rpc != "Predict"]
# Names that are there, that are not, and that can be no names.
IDS = st.sampled_from(
    ["fuzzed", "fuzzed@1", "fuzzed@golden", "fuzzed@-", "1", "0", "@", "a b", "ä", "-"]
) | st.text(max_size=12)
TEXTS = st.sampled_from(
    [
        *("", "*", "-1", "1e9", "displayName", "labels.a", "labels.`", "create_time"),
        *('display_name="m"', "labels.a=b", "NOT (", "version_id=9999999999999999999"),
        *("create_time desc", "done=true", "AAAA", "名前", "metrics_schema_uri:*"),
    ]
) | st.text(max_size=20)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            *("filter", "orderBy", "order_by", "pageSize", "pageToken", "readMask"),
            *("updateMask", "update_mask", "endpointId", "timeout", "alt"),
        ]
    ),
    TEXTS,
    max_size=3,
)


def document_of(rule: Rule) -> st.SearchStrategy[Any]:
    """Documents for the body of a method: mostly of its message, else any JSON."""
    name = f"{rule.rpc}Request"
    ours, theirs = BODIES.get(
        rule.rpc,
        (
            next(
                (getattr(one, name, None) for one in MODULES if hasattr(one, name)),
                None,
            ),
            name,
        ),
    )
    if ours is None:
        return FREE_JSON
    descriptor = getattr(aiplatform_v1.types, theirs).pb().DESCRIPTOR
    return documents(ours, descriptor) | FREE_JSON


@st.composite
def requests_(draw: st.DrawFn) -> tuple[str, str, bytes | None]:
    """One request: its method, its path with a query, its body."""
    rule = draw(st.sampled_from(ANSWERED))
    path = rule.path.replace("projects/*/locations/*", PARENT)
    while "*" in path:
        path = path.replace("*", urllib.parse.quote(draw(IDS), safe="@"), 1)
    query = urllib.parse.urlencode(draw(QUERIES))
    body = None
    if rule.verb in {"POST", "PATCH"}:
        body = json.dumps(draw(document_of(rule))).encode()
    return rule.verb, f"{path}?{query}" if query else path, body


@pytest.fixture(scope="module")
def fuzzed(shared_server: Server) -> Server:
    """A server with a model of two versions, to be hit or missed."""
    container = {"imageUri": "example.com/m:1"}
    for request in (
        {
            "model": {"displayName": "m", "containerSpec": container},
            "modelId": "fuzzed",
        },
        {"model": {"containerSpec": container}, "parentModel": "fuzzed"},
    ):
        _, operation = shared_server.call(
            "POST", f"/v1/{PARENT}/models:upload", request
        )
        shared_server.wait(operation)
    return shared_server


@hypothesis.given(request=requests_())
@hypothesis.settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
def test_no_request_makes_the_server_fail(
    fuzzed: Server, request: tuple[str, str, bytes | None]
) -> None:
    status, answer = fuzzed.call(*request)

    assert status < 500 or status == 501, answer
