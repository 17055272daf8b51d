"""The resources that pipelines hand on, by the names that Google's components know.

Their metadata has `resourceName`, which those components read.
"""

from kfp import dsl


class VertexModel(dsl.Artifact):  # type: ignore[misc]  # kfp is not installed for development
    """A version in the registry; also `DisplayName` and `VertexModelID`."""

    schema_title = "google.VertexModel"
    schema_version = "0.0.1"


class VertexEndpoint(dsl.Artifact):  # type: ignore[misc]  # kfp is not installed for development
    """An endpoint with a deployed model."""

    schema_title = "google.VertexEndpoint"
    schema_version = "0.0.1"


class VertexBatchPredictionJob(dsl.Artifact):  # type: ignore[misc]  # kfp is not installed for development
    """A batch prediction that has ended; also `gcsOutputDirectory`."""

    schema_title = "google.VertexBatchPredictionJob"
    schema_version = "0.0.1"
