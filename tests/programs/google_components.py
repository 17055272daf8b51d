"""A pipeline of Google's own components, beside ours, against a server.

    python google_components.py URL ARTIFACT TRAINED FOLDER

Google's are container components, whose programs are in their package, too: here they
run as processes, with the commands that the pipeline has for their containers. All
speak to Google's own addresses, ours too, as nothing says otherwise; `sitecustomize`
leads their requests from there to the server.
"""

import os
import pathlib
import sys

from google_cloud_pipeline_components.types import artifact_types
from google_cloud_pipeline_components.v1.endpoint import (
    EndpointCreateOp,
    ModelDeployOp,
)
from google_cloud_pipeline_components.v1.model import ModelUploadOp
from kfp import dsl, local
from kfp.local.subprocess_task_handler import SubprocessTaskHandler

from homeport.pipelines.components import (
    batch_predict,
    deploy_model,
    upload_pytorch_model,
)

URL, ARTIFACT, TRAINED, FOLDER = sys.argv[1:]
PROJECT, LOCATION = "p", "us-central1"
ADDRESSES = r"https://(us-central1-aiplatform|storage)\.googleapis\.com"
LEADING = f"""
import re

import google.auth
import google.oauth2.credentials
import requests

requested = requests.Session.request

def request(self, method, url, **given):
    return requested(self, method, re.sub({ADDRESSES!r}, {URL!r}, url), **given)

requests.Session.request = request
google.auth.default = lambda **_: (google.oauth2.credentials.Credentials("t"), None)

from google_cloud_pipeline_components.container.v1.gcp_launcher import (
    lro_remote_runner,
)

lro_remote_runner._POLLING_INTERVAL_IN_SECONDS = 0.5
"""


@dsl.pipeline(name="google-components")  # type: ignore[untyped-decorator]  # kfp is not installed here
def pipeline(artifact: str, trained: str) -> None:
    """Google's upload, endpoint and deployment, then our steps with their outputs."""
    unmanaged = dsl.importer(
        artifact_uri=artifact,
        artifact_class=artifact_types.UnmanagedContainerModel,
        metadata={
            "containerSpec": {
                "imageUri": "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-1",
                "ports": [{"containerPort": 8080}],
                "env": [{"name": "A", "value": "b"}],
            }
        },
    )
    uploaded = ModelUploadOp(
        project=PROJECT,
        location=LOCATION,
        display_name="by-google",
        unmanaged_container_model=unmanaged.output,
        version_aliases=["candidate"],
        labels={"team": "port"},
    )
    again = ModelUploadOp(
        project=PROJECT,
        location=LOCATION,
        display_name="by-google",
        parent_model=uploaded.outputs["model"],
        unmanaged_container_model=unmanaged.output,
    )
    endpoint = EndpointCreateOp(
        project=PROJECT, location=LOCATION, display_name="by-google"
    )
    deployed = ModelDeployOp(
        model=again.outputs["model"],
        endpoint=endpoint.outputs["endpoint"],
        traffic_split={"0": "100"},
        dedicated_resources_machine_type="n1-standard-4",
        dedicated_resources_min_replica_count=1,
    )
    ours = deploy_model(
        project_id=PROJECT,
        location=LOCATION,
        vertex_model=uploaded.outputs["model"],
        endpoint_display_name="by-google",
        traffic_percentage=30,
    )
    ours.after(deployed)
    batch_predict(
        project_id=PROJECT,
        location=LOCATION,
        vertex_model=uploaded.outputs["model"],
        job_display_name="by-google",
        gcs_source=["gs://models/rows.jsonl"],
        gcs_destination_prefix="gs://models/answers",
    )
    model = dsl.importer(artifact_uri=trained, artifact_class=dsl.Artifact)
    by_ours = upload_pytorch_model(
        project_id=PROJECT,
        location=LOCATION,
        gcs_model_path=model.output,
        local_model_file="mlp.pt",
        model_display_name="by-ours",
    )
    endpoint_of_ours = EndpointCreateOp(
        project=PROJECT, location=LOCATION, display_name="of-ours"
    )
    ModelDeployOp(
        model=by_ours.outputs["vertex_model"],
        endpoint=endpoint_of_ours.outputs["endpoint"],
        traffic_split={"0": "100"},
        dedicated_resources_machine_type="n1-standard-4",
        dedicated_resources_min_replica_count=1,
    )


def main() -> None:
    folder = pathlib.Path(FOLDER)
    (folder / "sitecustomize.py").write_text(LEADING)
    os.environ["PYTHONPATH"] = f"{folder}:{os.environ['PYTHONPATH']}"
    SubprocessTaskHandler.validate_not_container_component = lambda *_: None
    SubprocessTaskHandler.validate_image = lambda *_: None
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder / "runs"),
    )
    pipeline(artifact=ARTIFACT, trained=TRAINED)


main()
