"""How a container says that it is well: its probes, as the API has them."""

import dataclasses
import enum
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError, UnimplementedError

_MAX_DEPLOYMENT_TIMEOUT_S: Final = 7200.0  # ModelContainerSpec: two hours
_MAX_SHARED_MEMORY_MB: Final = 1 << 20
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_CAPITAL: Final = re.compile(r"(?<!^)([A-Z])")
_FIELDS: Final = frozenset(
    {
        "exec",
        "http_get",
        "grpc",
        "tcp_socket",
        "initial_delay_seconds",
        "period_seconds",
        "timeout_seconds",
        "failure_threshold",
        "success_threshold",
    }
)
_MOST_S: Final = 3600


class ProbeKind(enum.StrEnum):
    """What a probe does."""

    HTTP = "http_get"
    TCP = "tcp_socket"
    EXEC = "exec"
    GRPC = "grpc"


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """One kind of look at a container, and how often it is taken.

    Attributes:
        kind: What is done.
        path: Of an HTTP probe.
        port: Of an HTTP or TCP probe, 0 for the one that serves.
        headers: Of an HTTP probe.
        command: Of an exec probe.
        initial_delay_s: Before the first look.
        period_s: Between two looks.
        timeout_s: Of one look.
        failures: In a row, until the container counts as not well.
        successes: In a row, until the container counts as well.
    """

    kind: ProbeKind
    path: str = "/"
    port: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    failures: int = 3
    successes: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Care:
    """What a container asks for beside its image, command and routes.

    Attributes:
        startup: Until it has passed, the others are not looked at; None for none.
        health: Whether it may be sent requests; None for the health route.
        liveness: Whether it lives; None for a connection to its port.
        deployment_timeout_s: How long it may take to become well, None for the
            server's own limit.
        shared_memory_mb: The size of its shared memory, 0 for the engine's own.
    """

    startup: Probe | None = None
    health: Probe | None = None
    liveness: Probe | None = None
    deployment_timeout_s: float | None = None
    shared_memory_mb: int = 0

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Those that were given."""
        given = (self.startup, self.health, self.liveness)
        return tuple(probe for probe in given if probe is not None)

    def check_supported(self) -> None:
        """Refuse what cannot be done here.

        Raises:
            UnimplementedError: A gRPC probe.
        """
        for probe in self.probes:
            if probe.kind is ProbeKind.GRPC:
                raise UnimplementedError(
                    "a gRPC probe cannot be carried out here: use httpGet, tcpSocket "
                    "or exec"
                )


def read(kept: Mapping[str, Any]) -> Care:
    """Return what these fields of a container spec say.

    Args:
        kept: By their names in snake_case, the values as the request had them.

    Raises:
        InvalidArgumentError: A value cannot be; names the field.
    """
    timeout_s = _duration(kept.get("deployment_timeout"))
    if timeout_s is not None and not 0 < timeout_s <= _MAX_DEPLOYMENT_TIMEOUT_S:
        raise InvalidArgumentError(
            f"deployment_timeout is {timeout_s:g} s: above 0, at most "
            f"{_MAX_DEPLOYMENT_TIMEOUT_S:g} s"
        )
    return Care(
        startup=_of_one_success("startup_probe", kept),
        health=_probe("health_probe", kept.get("health_probe")),
        liveness=_of_one_success("liveness_probe", kept),
        deployment_timeout_s=timeout_s,
        shared_memory_mb=_whole(
            "shared_memory_size_mb",
            kept.get("shared_memory_size_mb"),
            (0, _MAX_SHARED_MEMORY_MB),
            0,
        ),
    )


def _of_one_success(name: str, kept: Mapping[str, Any]) -> Probe | None:
    """Return a probe that Kubernetes has pass as soon as it passes once."""
    probe = _probe(name, kept.get(name))
    if probe is not None and probe.successes != 1:
        raise InvalidArgumentError(
            f"{name}.success_threshold is {probe.successes}: 1 or nothing, of a health "
            "probe alone it may be more"
        )
    return probe


def _probe(name: str, value: object) -> Probe | None:
    fields = _object(name, value)
    if not fields:
        return None
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise InvalidArgumentError(f"{name} has no field {unknown[0]!r:.60}")
    kinds = [kind for kind in ProbeKind if fields.get(kind) is not None]
    if len(kinds) != 1:
        raise InvalidArgumentError(
            f"{name} has {len(kinds)} of exec, httpGet, tcpSocket and grpc: give one"
        )
    return _of_kind(name, kinds[0], fields)


def _of_kind(name: str, kind: ProbeKind, fields: Mapping[str, Any]) -> Probe:
    where = f"{name}.{kind}"
    action = _object(where, fields[kind])
    if action.get("host"):
        raise InvalidArgumentError(
            f"{where}.host is {action['host']!r:.60}: a probe asks the container "
            "itself, leave it out"
        )
    if str(action.get("scheme") or "HTTP").upper() != "HTTP":
        raise InvalidArgumentError(
            f"{where}.scheme is {action['scheme']!r:.60}: only HTTP is spoken"
        )
    command = _command(where, action) if kind is ProbeKind.EXEC else ()

    def number(field: str, low: int, default: int) -> int:
        return _whole(f"{name}.{field}", fields.get(field), (low, _MOST_S), default)

    return Probe(
        kind,
        path=_path(where, action.get("path")),
        port=_whole(f"{where}.port", action.get("port"), (0, 65535), 0),
        headers=_headers(where, action.get("http_headers")),
        command=command,
        initial_delay_s=number("initial_delay_seconds", 0, 0),
        # 0 is what protobuf sends for a field that was left out.
        period_s=number("period_seconds", 0, 10) or 10,
        timeout_s=number("timeout_seconds", 0, 1) or 1,
        failures=number("failure_threshold", 0, 3) or 3,
        successes=number("success_threshold", 0, 1) or 1,
    )


def _command(where: str, action: Mapping[str, Any]) -> tuple[str, ...]:
    command = action.get("command")
    if (
        not isinstance(command, list)
        or not command
        or not all(isinstance(word, str) for word in command)
    ):
        raise InvalidArgumentError(f"{where}.command: expected a list of words")
    return tuple(command)


def _path(where: str, value: object) -> str:
    path = value or "/"
    if not isinstance(path, str) or not is_route(path):
        raise InvalidArgumentError(
            f"{where}.path is {value!r:.60}: expected a path that begins with '/', in "
            "printable ASCII"
        )
    return path


def is_route(path: str) -> bool:
    """Tell whether a text can be the path of a request as it stands."""
    return (
        path.startswith("/")
        and path.isascii()
        and path.isprintable()
        and (" " not in path and "#" not in path)
    )


def _headers(where: str, value: object) -> tuple[tuple[str, str], ...]:
    found = []
    for one in value if isinstance(value, list) else ():
        fields = _object(f"{where}.http_headers", one)
        name, text = fields.get("name", ""), fields.get("value", "")
        good = isinstance(name, str) and isinstance(text, str)
        if not good or not re.fullmatch(r"[\w-]+", name, re.ASCII):
            raise InvalidArgumentError(f"{where}.http_headers: a name is {name!r:.60}")
        if not text.isprintable() or not text.isascii():
            raise InvalidArgumentError(
                f"{where}.http_headers: the value of {name} is no printable ASCII"
            )
        found.append((name.lower(), text))
    return tuple(found)


def _object(name: str, value: object) -> dict[str, Any]:
    """Return a JSON object with its keys in snake_case, empty for none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{name}: expected an object, got {value!r:.60}")
    return {_CAPITAL.sub(r"_\1", key).lower(): one for key, one in value.items()}


def _whole(name: str, value: object, bounds: tuple[int, int], default: int) -> int:
    """Return an integer as proto3 JSON writes it: 5, 5.0 or "5"."""
    if value is None:
        return default
    low, high = bounds
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not low <= number <= high or number % 1:
        raise InvalidArgumentError(
            f"{name} is {value!r:.60}: expected a whole number from {low} to {high}"
        )
    return int(number)


def _duration(value: object) -> float | None:
    if value is None:
        return None
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidArgumentError(
            f"deployment_timeout is {value!r:.60}: expected seconds as in '1800s'"
        )
    return float(found[1])
