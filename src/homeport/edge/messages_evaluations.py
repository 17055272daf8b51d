"""The messages of model evaluations: what was measured of a version.

Shapes are those of aiplatform v1 (model_evaluation.proto, model_evaluation_slice.proto
and the requests of model_service.proto).
"""

from collections.abc import Mapping

from homeport.edge.codec import (
    Bool,
    Float,
    FromPath,
    Kept,
    Message,
    OutputOnly,
    Timestamp,
    Value,
)


class ModelEvaluationMessage(Message):
    """An evaluation."""

    name: OutputOnly[str] = ""
    display_name: str = ""
    metrics_schema_uri: str = ""
    metrics: Value = None
    create_time: OutputOnly[Timestamp | None] = None
    slice_dimensions: tuple[str, ...] = ()
    data_item_schema_uri: str = ""
    annotation_schema_uri: str = ""
    model_explanation: Kept = None
    explanation_specs: Kept = None
    metadata: Value = None


class ImportModelEvaluationRequest(Message):
    """ModelService.ImportModelEvaluation."""

    parent: FromPath[str] = ""
    model_evaluation: ModelEvaluationMessage | None = None


class ListModelEvaluationsResponse(Message):
    """ModelService.ListModelEvaluations."""

    model_evaluations: tuple[ModelEvaluationMessage, ...] = ()
    next_page_token: str = ""


class SliceValue(Message):
    """A single value of a feature."""

    oneofs = (("string_value", "float_value"),)

    string_value: str | None = None
    float_value: Float | None = None


class SliceRange(Message):
    """From `low` up to, and without, `high`."""

    low: Float = 0.0
    high: Float = 0.0


class SliceConfig(Message):
    """Which values of one feature."""

    oneofs = (("value", "range_", "all_values"),)

    value: SliceValue | None = None
    range_: SliceRange | None = None
    all_values: Bool | None = None


class SliceSpec(Message):
    """Which values of each feature."""

    configs: Mapping[str, SliceConfig] = {}


class Slice(Message):
    """Which part of the data."""

    dimension: str = ""
    value: str = ""
    slice_spec: SliceSpec | None = None


class ModelEvaluationSliceMessage(Message):
    """A slice of an evaluation."""

    name: OutputOnly[str] = ""
    slice_: Slice | None = None
    metrics_schema_uri: str = ""
    metrics: Value = None
    create_time: OutputOnly[Timestamp | None] = None
    model_explanation: Kept = None


class BatchImportModelEvaluationSlicesRequest(Message):
    """ModelService.BatchImportModelEvaluationSlices."""

    parent: FromPath[str] = ""
    model_evaluation_slices: tuple[ModelEvaluationSliceMessage, ...] = ()


class BatchImportModelEvaluationSlicesResponse(Message):
    """ModelService.BatchImportModelEvaluationSlices."""

    imported_model_evaluation_slices: tuple[str, ...] = ()


class ListModelEvaluationSlicesResponse(Message):
    """ModelService.ListModelEvaluationSlices."""

    model_evaluation_slices: tuple[ModelEvaluationSliceMessage, ...] = ()
    next_page_token: str = ""
