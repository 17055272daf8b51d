"""Probes are read as proto3 JSON has them, and refused by the name of the field."""

from typing import Any

import pytest

from homeport.errors import InvalidArgumentError, UnimplementedError
from homeport.resources import probes
from homeport.resources.probes import Care, Probe, ProbeKind


def test_nothing_said_is_nothing_asked() -> None:
    assert probes.read({}) == Care()


def test_every_field_is_read_in_both_spellings() -> None:
    kept = {
        "deployment_timeout": "90.5s",
        "shared_memory_size_mb": "64",
        "startup_probe": {"exec": {"command": ["cat", "/ready"]}, "period_seconds": 2},
        "health_probe": {
            "httpGet": {
                "path": "/well",
                "port": 9000.0,
                "httpHeaders": [{"name": "X-Probe", "value": "yes"}],
            },
            "initialDelaySeconds": 1,
            "timeoutSeconds": "5",
            "failureThreshold": 4,
            "successThreshold": 2,
        },
        "liveness_probe": {"tcp_socket": {}},
    }

    care = probes.read(kept)

    assert care.deployment_timeout_s == 90.5
    assert care.shared_memory_mb == 64
    assert care.startup == Probe(
        ProbeKind.EXEC, command=("cat", "/ready"), period_s=2.0
    )
    assert care.health == Probe(
        ProbeKind.HTTP,
        path="/well",
        port=9000,
        headers=(("x-probe", "yes"),),
        initial_delay_s=1.0,
        timeout_s=5.0,
        failures=4,
        successes=2,
    )
    assert care.liveness == Probe(ProbeKind.TCP)
    assert len(care.probes) == 3


@pytest.mark.parametrize(
    ("kept", "named"),
    [
        ({"deployment_timeout": "3 hours"}, "deployment_timeout is '3 hours'"),
        ({"deployment_timeout": "7201s"}, "deployment_timeout is 7201 s"),
        ({"shared_memory_size_mb": -1}, "shared_memory_size_mb is -1"),
        ({"shared_memory_size_mb": True}, "shared_memory_size_mb is True"),
        ({"health_probe": "often"}, "health_probe: expected an object"),
        ({"health_probe": {"periodSeconds": 3}}, "health_probe has 0 of exec"),
        (
            {"health_probe": {"exec": {"command": ["a"]}, "tcpSocket": {}}},
            "health_probe has 2 of exec",
        ),
        ({"health_probe": {"htpGet": {}}}, "health_probe has no field 'htp_get'"),
        ({"startup_probe": {"exec": {"command": "ls"}}}, "startup_probe.exec.command"),
        ({"startup_probe": {"httpGet": {"path": "x"}}}, "startup_probe.http_get.path"),
        (
            {"startup_probe": {"httpGet": {"path": "/a b"}}},
            "startup_probe.http_get.path",
        ),
        (
            {"startup_probe": {"httpGet": {"port": 70000}}},
            "startup_probe.http_get.port",
        ),
        ({"startup_probe": {"httpGet": {"host": "metadata"}}}, "host is 'metadata'"),
        (
            {"liveness_probe": {"tcpSocket": {}, "successThreshold": 2}},
            "liveness_probe.success_threshold is 2",
        ),
        ({"startup_probe": {"httpGet": {"scheme": "HTTPS"}}}, "only HTTP is spoken"),
        (
            {"startup_probe": {"httpGet": {"httpHeaders": [{"name": "a b"}]}}},
            "a name is 'a b'",
        ),
        (
            {
                "startup_probe": {
                    "httpGet": {"httpHeaders": [{"name": "a", "value": "b\r\nc: d"}]}
                }
            },
            "no printable ASCII",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(kept: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        probes.read(kept)

    assert named in caught.value.message


def test_a_grpc_probe_is_known_and_not_carried_out() -> None:
    care = probes.read({"liveness_probe": {"grpc": {"port": 8080}}})

    with pytest.raises(UnimplementedError, match="gRPC probe"):
        care.check_supported()
