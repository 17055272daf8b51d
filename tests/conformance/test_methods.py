"""Every method the official client can call is answered, or refused by its name."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from servers import Server
from vertex_methods import (
    DOCUMENT,
    Rule,
    chosen,
    is_answered,
    is_refused,
    routed,
    rules,
    written,
)

pytestmark = pytest.mark.service


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule.verb} {rule.path}")
def test_each_rule_is_answered_or_refused(shared_server: Server, rule: Rule) -> None:
    answered = is_answered(rule)

    status, answer = shared_server.call(
        rule.verb, rule.sample, None if rule.verb in {"GET", "DELETE"} else {}
    )

    assert answered is not is_refused(rule)
    if answered:
        assert status in {200, 400, 404}, answer
        assert "not a method" not in str(answer)
    else:
        assert (status, answer["error"]["status"]) == (501, "UNIMPLEMENTED")
        assert answer["error"]["message"].startswith(f"{rule.rpc} is not implemented: ")


async def answer_nothing(_: Request) -> Response:
    return Response()


@pytest.mark.parametrize(
    ("routes", "name"),
    [
        pytest.param(
            [
                Route("/v1/{model}", answer_nothing, name="plain"),
                Route("/v1/{model}:copy", answer_nothing, name="verb"),
            ],
            "plain",
            id="a plain resource swallows a verb",
        ),
        pytest.param(
            [
                Route("/v1/{model}", answer_nothing, methods=["POST"], name="plain"),
                Route("/v1/{model}:copy", answer_nothing, name="verb"),
            ],
            "verb",
            id="another verb of HTTP",
        ),
        pytest.param(
            [
                Mount("/v1", routes=[Route("/{model}/b", answer_nothing)]),
                Route("/v1/{model}:copy", answer_nothing, name="verb"),
            ],
            None,
            id="a mount keeps what it has no route for",
        ),
    ],
)
def test_the_route_that_comes_first_takes_a_request(
    routes: list[BaseRoute], name: str | None
) -> None:
    found = routed(routes, {"type": "http", "method": "GET", "path": "/v1/x1:copy"})

    assert (found and found.name) == name


def test_the_beta_version_is_answered_and_refused_as_the_other() -> None:
    differing = [
        rule
        for rule in rules()
        if rule.path.startswith("/v1/")
        and chosen(rule.verb, rule.sample.replace("/v1/", "/v1beta1/", 1))
        != chosen(rule.verb, rule.sample)
    ]

    assert differing == []


def test_the_table_of_methods_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == written(), "run `make methods`"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/projects/p/locations/l/datasets"),
        ("POST", "/v1beta1/projects/p/locations/l/models/m:undreamed"),
        ("PUT", "/v1/projects/p/locations/l/models/m"),
        ("GET", "/ui/projects/p/locations/l/tuningJobs/1/operations/2"),
    ],
)
def test_what_no_service_of_ours_has_is_unimplemented(
    shared_server: Server, method: str, path: str
) -> None:
    answer: Any
    status, answer = shared_server.call(method, path)

    assert (status, answer["error"]["status"]) == (501, "UNIMPLEMENTED")
    assert f"{method} {path}" in answer["error"]["message"]


def test_what_is_not_of_vertex_is_not_found(shared_server: Server) -> None:
    status, answer = shared_server.call("GET", "/v1/nothing")

    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
