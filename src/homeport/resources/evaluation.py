"""Evaluations of versions, their slices, and their names.

A law of the names: `C.parse(str(name)) == name`.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final, Self

from homeport.errors import InvalidArgumentError
from homeport.resources.names import ModelName

MAX_SLICES: Final = 50  # in one request; BatchImportModelEvaluationSlicesRequest of v1

_EVALUATION_RE: Final = re.compile(r"(.+/models/[^/]+)/evaluations/([\w-]+)", re.ASCII)
_SLICE_RE: Final = re.compile(r"(.+/evaluations/[^/]+)/slices/([\w-]+)", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class EvaluationName:
    """An evaluation; it belongs to a version, and its name tells the model alone."""

    model: ModelName
    evaluation: str

    def __str__(self) -> str:
        return f"{self.model}/evaluations/{self.evaluation}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the evaluation that `text` names, through whichever version.

        Raises:
            InvalidArgumentError: It is not `.../models/*/evaluations/*`.
        """
        match = _EVALUATION_RE.fullmatch(text)
        if match is None:
            raise InvalidArgumentError(
                f"{text!r} is not an evaluation: expected "
                "projects/{project}/locations/{location}/models/{model}/"
                "evaluations/{evaluation}"
            )
        return cls(ModelName.parse(match[1]).unversioned, match[2])


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class SliceName:
    """One slice of an evaluation."""

    evaluation: EvaluationName
    slice: str

    def __str__(self) -> str:
        return f"{self.evaluation}/slices/{self.slice}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the slice that `text` names.

        Raises:
            InvalidArgumentError: It is not `.../evaluations/*/slices/*`.
        """
        match = _SLICE_RE.fullmatch(text)
        if match is None:
            raise InvalidArgumentError(
                f"{text!r} is not a slice: expected "
                "projects/{project}/locations/{location}/models/{model}/"
                "evaluations/{evaluation}/slices/{slice}"
            )
        return cls(EvaluationName.parse(match[1]), match[2])


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a version, or of a slice of its data.

    Attributes:
        display_name: For people; a slice has none.
        metrics_schema_uri: Where the form of the metrics is described.
        content: All of it, in wire JSON, returned as it came.
    """

    display_name: str
    metrics_schema_uri: str
    content: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of one version.

    Attributes:
        name: Of the evaluation.
        version: Of the version.
        measured: What was imported.
        create_time: UTC.
    """

    name: EvaluationName
    version: ModelName
    measured: Measured
    create_time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationSlice:
    """What was measured on a part of the data.

    Attributes:
        name: Of the slice.
        measured: What was imported.
        create_time: UTC.
    """

    name: SliceName
    measured: Measured
    create_time: dt.datetime
