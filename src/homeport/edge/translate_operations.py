"""Long-running operations as clients read them."""

from typing import Any, Final

from homeport.edge import codec, scalars
from homeport.edge.messages import DeployedModelMessage, EndpointMessage
from homeport.resources.operation import Operation, OperationKind

_TYPE_PREFIX: Final = "type.googleapis.com/"
# All deletions share one metadata message.
_METADATA_TYPES: Final = {
    OperationKind.DELETE_MODEL: "Delete",
    OperationKind.DELETE_MODEL_VERSION: "Delete",
    OperationKind.DELETE_ENDPOINT: "Delete",
    OperationKind.DELETE_BATCH_PREDICTION_JOB: "Delete",
}


def to_json(
    operation: Operation,
    made: EndpointMessage | DeployedModelMessage | None = None,
    *,
    version: str = "v1",
) -> dict[str, Any]:
    """Return an operation as clients read it.

    Args:
        operation: The operation.
        made: What a create or a deploy made, as it is now; None if it is gone.
        version: `v1` or `v1beta1`: whose messages the client unpacks.
    """
    told: dict[str, Any] = {
        "name": str(operation.name),
        "metadata": _metadata(operation, version),
    }
    if operation.done:
        told["done"] = True
        if operation.failure is not None:
            failure = operation.failure
            told["error"] = {"code": int(failure.code), "message": failure.message}
        else:
            told["response"] = _response(operation, made, version)
    return told


def _metadata(operation: Operation, version: str) -> dict[str, Any]:
    kind = _METADATA_TYPES.get(operation.kind, operation.kind.value)
    generic: dict[str, Any] = {
        "createTime": scalars.write_timestamp(operation.create_time),
        "updateTime": scalars.write_timestamp(operation.update_time),
    }
    # As google.rpc.Status: what was accepted without effect has code 12.
    partial = [{"code": 12, "message": warning} for warning in operation.warnings]
    partial += [
        {"code": int(one.code), "message": one.message} for one in operation.failures
    ]
    if partial:
        generic["partialFailures"] = partial
    metadata = {
        "@type": _type(f"{kind}OperationMetadata", version),
        "genericMetadata": generic,
    }
    if operation.stages:
        metadata["deploymentStage"] = operation.stages[-1].stage.value
    if operation.kind is OperationKind.EXPORT_MODEL and operation.result:
        metadata["outputInfo"] = {"artifactOutputUri": operation.result["uri"]}
    return metadata


def _response(
    operation: Operation,
    made: EndpointMessage | DeployedModelMessage | None,
    version: str,
) -> dict[str, Any]:
    result = operation.result
    of_kind = {"@type": _type(f"{operation.kind.value}Response", version)}
    match operation.kind:
        case OperationKind.UPLOAD_MODEL | OperationKind.COPY_MODEL:
            return {
                **of_kind,
                "model": result["model"],
                "modelVersionId": result["model_version_id"],
            }
        case OperationKind.CREATE_ENDPOINT | OperationKind.UPDATE_ENDPOINT:
            endpoint = made or EndpointMessage(name=result["endpoint"])
            return {"@type": _type("Endpoint", version), **codec.encode(endpoint)}
        case OperationKind.DEPLOY_MODEL | OperationKind.MUTATE_DEPLOYED_MODEL:
            deployed = made or DeployedModelMessage(id=result["deployed_model"])
            return {**of_kind, "deployedModel": codec.encode(deployed)}
        case OperationKind.UNDEPLOY_MODEL | OperationKind.EXPORT_MODEL:
            return of_kind
        case (
            OperationKind.DELETE_MODEL
            | OperationKind.DELETE_MODEL_VERSION
            | OperationKind.DELETE_ENDPOINT
            | OperationKind.DELETE_BATCH_PREDICTION_JOB
        ):
            return {"@type": f"{_TYPE_PREFIX}google.protobuf.Empty"}


def _type(message: str, version: str) -> str:
    return f"{_TYPE_PREFIX}google.cloud.aiplatform.{version}.{message}"
