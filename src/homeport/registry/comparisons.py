"""Two versions side by side: read from the rows, and from their archives."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeport.archive import lockfile
from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.metadata import check_rows, evaluation_rows, lineage_rows, model_rows
from homeport.metadata.database import Database, Transaction
from homeport.metadata.listing_sql import Page
from homeport.registry.artifacts import Artifacts
from homeport.registry.catalog import NEVER_CHECKED, resolve
from homeport.resources import comparison, images
from homeport.resources.comparison import Comparison, Side
from homeport.resources.evaluation import Evaluation
from homeport.resources.lineage import Provenance
from homeport.resources.listing import OrderBy
from homeport.resources.model import ModelVersion
from homeport.resources.names import ModelName

_MOST_EVALUATIONS: Final = 100
_NEWEST: Final = Page(
    filter=None,
    order_by=(OrderBy("create_time", descending=True),),
    after=(),
    limit=_MOST_EVALUATIONS,
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Rows:
    """What the rows say of one version."""

    provenance: Provenance
    lock: str
    evaluations: Sequence[Evaluation]


class Comparisons:
    """Compares versions.

    Args:
        database: Where they are written.
        artifacts: Where their bytes are.
    """

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database = database
        self._artifacts = artifacts

    def compare(self, first: ModelName, second: ModelName) -> Comparison:
        """Return in what two versions differ, of one model or of two.

        Args:
            first: A version by id or alias; without either, the default version.
            second: The same.

        Raises:
            NotFoundError: One of them is not there.
        """
        with self._database.snapshot() as transaction:
            found = [_read(transaction, name) for name in (first, second)]
        one, other = (self._side(rows) for rows in found)
        return comparison.compare(one, other)

    def _side(self, rows: _Rows) -> Side:
        version = rows.provenance.version
        artifact = version.artifact
        return Side(
            provenance=rows.provenance,
            facts=_facts(rows),
            files={
                file.path: {"sha256": file.sha256, "sizeBytes": str(file.size_bytes)}
                for file in (artifact.files if artifact else ())
            },
            members=self._members(version),
            packages=_packages(rows.lock),
            metrics=_metrics(rows.evaluations),
        )

    def _members(self, version: ModelVersion) -> dict[str, Any]:
        """Return the members of a version's archive, without reading their bytes."""
        image = version.container.image_uri if version.container else ""
        if version.artifact is None or not images.runs_archives(image):
            return {}
        try:
            archive = self._artifacts.archive_of(version.artifact)
        except (FailedPreconditionError, InvalidArgumentError):
            # Registered by rows that older servers wrote: its files are compared.
            return {}
        return {
            one.path: {
                "crc32": None if one.crc32 is None else f"{one.crc32:08x}",
                "sizeBytes": str(one.size_bytes),
            }
            for one in self._artifacts.inventory(archive).members
        }


def _read(transaction: Transaction, name: ModelName) -> _Rows:
    version = resolve(transaction, name)
    return _Rows(
        Provenance(
            version,
            lineage_rows.get(transaction, version.name),
            check_rows.get(transaction, version.name) or NEVER_CHECKED,
        ),
        model_rows.get_lock(transaction, version.name),
        evaluation_rows.list_page(transaction, version.name, _NEWEST),
    )


def _facts(rows: _Rows) -> dict[str, Any]:
    version = rows.provenance.version
    container = version.container
    facts = {
        "displayName": version.display_name,
        "versionDescription": version.version_description,
        "artifactUri": version.artifact_uri,
        "imageUri": container.image_uri if container else "",
        "checkState": rows.provenance.check.state.value,
    }
    if version.artifact is not None:
        facts["digest"] = version.artifact.digest
        facts["sizeBytes"] = str(version.artifact.size_bytes)
    schemata = {} if version.schemata is None else dataclasses.asdict(version.schemata)
    environment = {one.name: one.value for one in (container.env if container else ())}
    return {
        **facts,
        **{f"predictSchemata.{key}": value for key, value in schemata.items()},
        **{f"env.{key}": value for key, value in environment.items()},
    }


def _packages(lock: str) -> dict[str, str]:
    if not lock:
        return {}
    try:
        parsed = lockfile.parse(lock)
    except InvalidArgumentError:
        # Not one of ours to read: its digest is compared, in the lineage.
        return {}
    return {pin.name: pin.version for pin in parsed.pins}


def _metrics(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the newest value of each metric that is one number, text or truth."""
    found: dict[str, Any] = {}
    for evaluation in evaluations:
        measured = evaluation.measured
        prefix = measured.display_name or measured.metrics_schema_uri
        metrics: Mapping[str, Any] = measured.content.get("metrics") or {}
        if not isinstance(metrics, dict):
            continue
        for key, value in metrics.items():
            if isinstance(value, str | int | float | bool):
                found.setdefault(f"{prefix}/{key}" if prefix else key, value)
    return found
