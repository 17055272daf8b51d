"""What Homeport and TorchServe answered to the same requests, side by side."""

import dataclasses
import json
import math
import pathlib
import urllib.error
import urllib.request
from typing import Any

import environment
import report

COMMAND = (
    "python -m pytest -m peers tests/conformance --conformance-result "
    "benchmarks/results/torchserve-conformance.md"
)
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Answer:
    """One HTTP answer of a TorchServe.

    Attributes:
        status: Of HTTP.
        document: The body as JSON, or as text if it is none.
    """

    status: int
    document: Any


@dataclasses.dataclass
class Record:
    """The rows of the table that a run leaves."""

    rows: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    def same_predictions(
        self, packed_by: str, archive: str, ours: list[Any], theirs: list[Any]
    ) -> None:
        """Require the same predictions of both servers, numbers within TOLERANCE."""
        found = difference(ours, theirs)
        same = found <= TOLERANCE
        verdict = (
            f"same, largest difference {found:.1g}"
            if same
            else f"**differ**: {ours} and {theirs}"
        )
        self.rows.append((packed_by, archive, verdict))
        assert same, f"Homeport {ours}, TorchServe {theirs}"

    def same_data(self, request: str, way: str, told: str, received: str) -> None:
        """Require that a handler received what `--explain-payload` told."""
        verdict = "as told" if told == received else f"**told** {told}"
        self.rows.append((f"payload: {request}", way, verdict))
        assert told == received

    def write(
        self, output: pathlib.Path, peers: environment.Environment, failed: int
    ) -> None:
        """Write the table, with the commit and the versions it is true for."""
        setting = report.setting(peers) | {"command": COMMAND}
        lines = [
            "# Beside the real TorchServe",
            "",
            *report.setting_lines(setting),
            "",
            f"{len(self.rows)} comparisons, {failed} failed tests. Predictions are "
            f"numbers or texts of both servers for the same instances, equal within "
            f"{TOLERANCE}; payloads are what an echoing handler received. "
            "Homeport serves `.mar` alone: of tgz and no-archive it has the same files "
            "as a `.mar`.",
            "",
            "| packed by | what | result |",
            "|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in sorted(self.rows)),
        ]
        output.write_text("\n".join(lines) + "\n")


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest difference of two JSON values' numbers; else infinity."""
    match ours, theirs:
        case (list(), list()) if len(ours) == len(theirs):
            pairs = zip(ours, theirs, strict=True)
            return max((difference(one, two) for one, two in pairs), default=0.0)
        case (dict(), dict()) if ours.keys() == theirs.keys():
            return max((difference(ours[key], theirs[key]) for key in ours), default=0)
        case (int() | float(), int() | float()):
            return abs(ours - theirs)
        case _:
            return 0.0 if ours == theirs else math.inf


def ask(url: str, body: bytes, content_type: str) -> Answer:
    """Return what a server answers to a POST."""
    request = urllib.request.Request(  # noqa: S310  # a server of our own
        url, body, {"content-type": content_type}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            return Answer(response.status, _document(response.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _document(error.read()))


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
