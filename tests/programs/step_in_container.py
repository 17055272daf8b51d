"""The upload as a step in its container: URL MODEL FOLDER, by KFP's DockerRunner."""

import sys

from kfp import components, dsl, local

URL, MODEL, FOLDER = sys.argv[1:]
upload = components.load_component_from_file(f"{FOLDER}/component.yaml")


@dsl.pipeline(name="in-a-container")  # type: ignore[untyped-decorator]  # kfp is not installed here
def pipeline() -> None:
    model = dsl.importer(artifact_uri=MODEL, artifact_class=dsl.Artifact)
    upload(
        project_id="p",
        location="us-central1",
        gcs_model_path=model.output,
        local_model_file="mlp.pt",
        model_display_name="from-a-container",
        api_endpoint=URL,
    )


local.init(
    runner=local.DockerRunner(network_mode="host"), pipeline_root=f"{FOLDER}/runs"
)
pipeline()
