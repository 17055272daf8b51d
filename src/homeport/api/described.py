"""What each method takes and answers, beside its route: what `openapi` tells of it.

By the name of the function that answers; a test compares this with the routes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from homeport.api import requests
from homeport.api.provenance import Readme
from homeport.edge import (
    messages,
    messages_evaluations,
    messages_jobs,
    messages_transfers,
    raw,
    tensors,
)
from homeport.edge.codec import Message
from homeport.edge.messages_traffic import RollbackRequest
from homeport.errors import Code

Shape = type[Message] | Mapping[str, Any]
"""A message, or the JSON Schema of what is none."""

ANY: Final[Mapping[str, Any]] = {}
TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer", "minimum": 0}
TIME: Final = {"type": "string", "format": "date-time"}
OBJECT: Final = {"type": "object"}
LIST: Final = {"type": "array"}
NOTHING: Final = {"type": "object", "additionalProperties": False}


def record(**properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an object with these properties, each of which may lack."""
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def strict(**properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an object with all of these properties."""
    return {**record(**properties), "required": list(properties)}


ERROR: Final = strict(
    error=strict(
        code={"type": "integer"},
        message=TEXT,
        status={"enum": [code.name for code in Code]},
    )
)
_OPERATION: Final = {
    **record(
        name=TEXT,
        metadata=OBJECT,
        done={"type": "boolean"},
        error=strict(code={"type": "integer"}, message=TEXT),
        response=OBJECT,
    ),
    "required": ["name", "metadata"],
}
_PREDICTIONS: Final = {
    "type": "object",
    "properties": {
        "instances": LIST,
        "parameters": ANY,
        "labels": OBJECT,
    },
    "required": ["instances"],
}
_PREDICTED: Final = record(
    predictions=LIST,
    explanations=LIST,
    deployedModelId=TEXT,
    model=TEXT,
    modelDisplayName=TEXT,
    modelVersionId=TEXT,
)
_CHANGES: Final = record(changes={"type": "array", "items": OBJECT}, nextPageToken=TEXT)
_JSON: Final = "application/json"
_ANY_MEDIA: Final = "*/*"
_PAGE: Final = {"pageSize": {"type": "integer"}, "pageToken": TEXT, "filter": TEXT}
_LIST: Final = {**_PAGE, "orderBy": TEXT, "readMask": TEXT}
_MASK: Final = {"updateMask": TEXT}


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """One method.

    Attributes:
        rpc: Its name, that of the service where it is Vertex AI's.
        answer: What a success says.
        request: What the body says, None for no body.
        query: The schema of each parameter.
        takes: The media type of the body.
        gives: The media type of the answer.
        failure: What a failure says.
    """

    rpc: str
    answer: Shape
    request: Shape | None = None
    query: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    takes: str = _JSON
    gives: str = _JSON
    failure: Shape = dataclasses.field(default_factory=lambda: ERROR)


_MODELS: Final = {
    "upload_model": Described(
        "UploadModel",
        _OPERATION,
        messages.UploadModelRequest,
        {"upsert": {"enum": ["true", "false"]}},
    ),
    "update_model": Described(
        "UpdateModel", messages.ModelMessage, messages.ModelMessage, _MASK
    ),
    "merge_version_aliases": Described(
        "MergeVersionAliases",
        messages.ModelMessage,
        messages.MergeVersionAliasesRequest,
    ),
    "delete_model_version": Described("DeleteModelVersion", _OPERATION),
    "delete_model": Described("DeleteModel", _OPERATION),
    "list_checkpoints": Described(
        "ListModelVersionCheckpoints", NOTHING, None, dict(list(_PAGE.items())[:2])
    ),
    "copy_model": Described(
        "CopyModel", _OPERATION, messages_transfers.CopyModelRequest
    ),
    "export_model": Described(
        "ExportModel", _OPERATION, messages_transfers.ExportModelRequest
    ),
}
_EVALUATIONS: Final = {
    "import_evaluation": Described(
        "ImportModelEvaluation",
        messages_evaluations.ModelEvaluationMessage,
        messages_evaluations.ImportModelEvaluationRequest,
    ),
    "list_evaluations": Described(
        "ListModelEvaluations",
        messages_evaluations.ListModelEvaluationsResponse,
        None,
        _LIST,
    ),
    "get_evaluation": Described(
        "GetModelEvaluation", messages_evaluations.ModelEvaluationMessage
    ),
    "import_slices": Described(
        "BatchImportModelEvaluationSlices",
        messages_evaluations.BatchImportModelEvaluationSlicesResponse,
        messages_evaluations.BatchImportModelEvaluationSlicesRequest,
    ),
    "list_slices": Described(
        "ListModelEvaluationSlices",
        messages_evaluations.ListModelEvaluationSlicesResponse,
        None,
        _LIST,
    ),
    "get_slice": Described(
        "GetModelEvaluationSlice", messages_evaluations.ModelEvaluationSliceMessage
    ),
}
_ENDPOINTS: Final = {
    "create_endpoint": Described(
        "CreateEndpoint", _OPERATION, messages.EndpointMessage, {"endpointId": TEXT}
    ),
    "list_endpoints": Described(
        "ListEndpoints", messages.ListEndpointsResponse, None, _LIST
    ),
    "get_endpoint": Described("GetEndpoint", messages.EndpointMessage),
    "update_endpoint": Described(
        "UpdateEndpoint", messages.EndpointMessage, messages.EndpointMessage, _MASK
    ),
    "delete_endpoint": Described("DeleteEndpoint", _OPERATION),
    "deploy_model": Described("DeployModel", _OPERATION, messages.DeployModelRequest),
    "update_endpoint_long_running": Described(
        "UpdateEndpointLongRunning",
        _OPERATION,
        messages.UpdateEndpointLongRunningRequest,
    ),
    "mutate_deployed_model": Described(
        "MutateDeployedModel", _OPERATION, messages.MutateDeployedModelRequest
    ),
    "undeploy_model": Described(
        "UndeployModel", _OPERATION, messages.UndeployModelRequest
    ),
}
_JOBS: Final = {
    "create_job": Described(
        "CreateBatchPredictionJob",
        messages_jobs.BatchPredictionJobMessage,
        messages_jobs.BatchPredictionJobMessage,
    ),
    "list_jobs": Described(
        "ListBatchPredictionJobs",
        messages_jobs.ListBatchPredictionJobsResponse,
        None,
        _LIST,
    ),
    "get_job": Described(
        "GetBatchPredictionJob", messages_jobs.BatchPredictionJobMessage
    ),
    "cancel_job": Described("CancelBatchPredictionJob", NOTHING, OBJECT),
    "delete_job": Described("DeleteBatchPredictionJob", _OPERATION),
}
_OPERATIONS: Final = {
    "get_operation": Described("GetOperation", _OPERATION),
    "list_operations": Described(
        "ListOperations",
        record(operations={"type": "array", "items": _OPERATION}, nextPageToken=TEXT),
        None,
        _PAGE,
    ),
    "wait_operation": Described("WaitOperation", _OPERATION, OBJECT, {"timeout": TEXT}),
    "cancel_operation": Described("CancelOperation", NOTHING, OBJECT),
    "delete_operation": Described("DeleteOperation", NOTHING),
    "list_locations": Described("ListLocations", messages.ListLocationsResponse),
    "get_location": Described("GetLocation", messages.Location),
}
_OWN: Final = {
    "introduce": Described("Introduce", OBJECT),
    "healthy": Described("Healthy", strict(status={"const": "ok"})),
    "ready": Described(
        "Ready",
        strict(status={"const": "ready"}),
        failure=record(status={"const": "starting"}, deployedModels=OBJECT, error=ANY),
    ),
    "show_metrics": Described("ShowMetrics", TEXT, gives="text/plain"),
    "logs": Described(
        "GetEndpointLogs", strict(deployedModels=OBJECT), None, {"lines": COUNT}
    ),
    "job_logs": Described("GetJobLogs", strict(lines=LIST), None, {"lines": COUNT}),
    "resume_job": Described(
        "ResumeBatchPredictionJob", messages_jobs.BatchPredictionJobMessage, OBJECT
    ),
    "stages": Described("GetStages", strict(stages=LIST)),
    "list_states": Described(
        "ListTrafficStates",
        record(trafficStates={"type": "array", "items": OBJECT}, nextPageToken=TEXT),
        None,
        _PAGE,
    ),
    "roll_back": Described(
        "Rollback", strict(state=OBJECT, operations=LIST), RollbackRequest
    ),
    "get_check": Described(
        "GetCheck",
        record(model=TEXT, state=TEXT, detail=TEXT, time=TIME, report=OBJECT),
    ),
    "list_all": Described("ListChanges", _CHANGES, None, _PAGE),
    "list_of_model": Described("ListModelChanges", _CHANGES, None, _PAGE),
    "list_of_endpoint": Described("ListEndpointChanges", _CHANGES, None, _PAGE),
    "get_alias": Described(
        "GetAlias",
        record(model=TEXT, alias=TEXT, versionId=TEXT, change=OBJECT),
        None,
        {"at": TIME},
    ),
    "get_lineage": Described("GetLineage", OBJECT),
    "get_readme": Described("GetReadme", TEXT, gives="text/plain"),
    "put_readme": Described("PutReadme", strict(model=TEXT), Readme),
    "get_comparison": Described("CompareVersions", OBJECT, None, {"with": TEXT}),
    "exchange": Described(
        "ExchangeToken",
        strict(access_token=TEXT, expires_in=COUNT, token_type=TEXT),
        strict(grant_type=TEXT, assertion=TEXT),
        takes="application/x-www-form-urlencoded",
        failure=record(error=ANY, error_description=TEXT),
    ),
    "show": Described("GetOpenApi", OBJECT),
}
BY_FUNCTION: Final[Mapping[str, Described]] = {
    **_MODELS,
    **_EVALUATIONS,
    **_ENDPOINTS,
    **_JOBS,
    **_OPERATIONS,
    **_OWN,
}


def _listing(rpc: str) -> Described:
    return Described(rpc, messages.ListModelsResponse, None, _LIST)


def _raw(rpc: str) -> Described:
    return Described(rpc, ANY, ANY, takes=_ANY_MEDIA, gives=_ANY_MEDIA)


PAST_THE_FRAMEWORK: Final[Mapping[tuple[str, str], Described]] = {
    ("GET", requests.PARENT + "/models"): _listing("ListModels"),
    ("GET", requests.MODEL): Described("GetModel", messages.ModelMessage),
    ("GET", requests.MODEL + ":listVersions"): _listing("ListModelVersions"),
    ("POST", requests.ENDPOINT + ":predict"): Described(
        "Predict", _PREDICTED, _PREDICTIONS
    ),
    ("POST", requests.ENDPOINT + ":explain"): Described(
        "Explain", _PREDICTED, _PREDICTIONS
    ),
    ("POST", requests.ENDPOINT + ":rawPredict"): _raw("RawPredict"),
    ("POST", requests.ENDPOINT + ":streamRawPredict"): _raw("StreamRawPredict"),
    ("POST", requests.ENDPOINT + ":serverStreamingPredict"): Described(
        "ServerStreamingPredict", LIST, tensors.TensorsRequest
    ),
    ("POST", requests.ENDPOINT + ":directPredict"): Described(
        "DirectPredict", tensors.TensorsResponse, tensors.TensorsRequest
    ),
    ("POST", requests.ENDPOINT + ":directRawPredict"): Described(
        "DirectRawPredict", record(output=TEXT), raw.DirectRawRequest
    ),
    ("POST", requests.ENDPOINT + "/invoke/{path}"): _raw("Invoke"),
    ("POST", requests.ENDPOINT + "/deployedModels/{deployed}/invoke/{path}"): _raw(
        "InvokeDeployedModel"
    ),
}
"""What raw ASGI answers, by verb and path behind the version."""
