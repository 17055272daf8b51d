"""scikit-learn and whatever else pickle or joblib wrote."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, refuse_for_now


def _imports(evidence: Evidence, *tops: str) -> bool:
    found = evidence.plain_pickle
    return found is not None and any(
        name.partition(".")[0] in tops for name in found.imports
    )


def _is_estimator(evidence: Evidence) -> bool:
    return _imports(evidence, "sklearn")


def _is_joblib(evidence: Evidence) -> bool:
    return _imports(evidence, "joblib")


def _is_pickle(evidence: Evidence) -> bool:
    return evidence.plain_pickle is not None


SCIKIT_LEARN: Final = Format(
    "scikit-learn", _is_estimator, refuse_for_now("a scikit-learn model")
)
JOBLIB: Final = Format("joblib", _is_joblib, refuse_for_now("a joblib file"))
PICKLE: Final = Format("pickle", _is_pickle, refuse_for_now("a pickle"))
