"""Every method the official client can call is answered, or refused by its name."""

from typing import Any

import pytest

from servers import Server
from vertex_methods import DOCUMENT, Rule, is_answered, is_refused, rules, written

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
