"""The committed YAML has the inputs that were promised, and the code beside it.

That it is what the compiler makes is shown where kfp is installed, by the tests with
official clients.
"""

import ast
import pathlib
from typing import Any

import pytest
import yaml

import homeport.pipelines

FOLDER = pathlib.Path(homeport.pipelines.__file__).parent
FILES = {
    "component.yaml": "upload_pytorch_model",
    "deploy_component.yaml": "deploy_model",
    "batch_predict_component.yaml": "batch_predict",
}
PREBUILT = "europe-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.1-12:latest"
REQUIRED = object()
# The table of the component's inputs: type and default by name.
INPUTS = {
    "project_id": ("STRING", REQUIRED),
    "location": ("STRING", REQUIRED),
    "local_model_file": ("STRING", REQUIRED),
    "model_display_name": ("STRING", REQUIRED),
    "model_name": ("STRING", "model"),
    "version": ("STRING", "v1.0"),
    "extra_files_to_ignore": ("LIST", []),
    "extra_files_staging_path": ("STRING", ""),
    "extra_prediction_files": ("STRING", ""),
    "handler": ("STRING", ""),
    "requirements": ("STRING", ""),
    "custom_tokenizer_path": ("STRING", ""),
    "custom_tokenizer_name": ("STRING", ""),
    "custom_container": ("BOOLEAN", False),
    "serving_container_image_uri": ("STRING", PREBUILT),
    "health_route": ("STRING", "/ping"),
    "predict_route": ("STRING", "/predictions/model"),
    "serving_container_ports": ("LIST", []),
    "serving_environment_vars": ("STRUCT", {}),
    "serving_container_args": ("LIST", []),
    "serving_container_command": ("LIST", []),
    "model_description": ("STRING", ""),
    "parent_model": ("STRING", ""),
    "is_default_version": ("BOOLEAN", False),
    "version_description": ("STRING", ""),
    # Beside the table: where another service than Vertex AI is, and where the archive
    # goes if not beside the model.
    "api_endpoint": ("STRING", ""),
    "archive_path": ("STRING", ""),
}


def read(name: str) -> dict[str, Any]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def test_the_upload_has_every_input_of_its_table() -> None:
    inputs = read("component.yaml")["components"]["comp-upload-pytorch-model"]

    definitions = inputs["inputDefinitions"]
    found = {
        name: (one["parameterType"], one.get("defaultValue", REQUIRED))
        for name, one in definitions["parameters"].items()
    }
    assert found == INPUTS
    assert {
        name: one["artifactType"]["schemaTitle"]
        for name, one in definitions["artifacts"].items()
    } == {"gcs_model_path": "system.Artifact"}


@pytest.mark.parametrize(
    ("name", "output", "schema"),
    [
        ("component.yaml", "vertex_model", "google.VertexModel"),
        ("deploy_component.yaml", "vertex_endpoint", "google.VertexEndpoint"),
        (
            "batch_predict_component.yaml",
            "vertex_batch_prediction_job",
            "google.VertexBatchPredictionJob",
        ),
    ],
)
def test_outputs_are_typed_as_googles_components_know_them(
    name: str, output: str, schema: str
) -> None:
    outputs = read(name)["root"]["outputDefinitions"]["artifacts"]

    assert {
        key: one["artifactType"]["schemaTitle"] for key, one in outputs.items()
    } == {output: schema}


@pytest.mark.parametrize(("name", "function"), FILES.items())
def test_the_yaml_carries_the_code_of_the_module(name: str, function: str) -> None:
    source = (FOLDER / "components.py").read_text(encoding="utf-8")
    (executor,) = read(name)["deploymentSpec"]["executors"].values()
    carried = executor["container"]["command"][-1]

    assert ast.dump(found_in(carried, function)) == ast.dump(found_in(source, function))


def found_in(source: str, function: str) -> ast.FunctionDef:
    """Return a function's tree, without its decorators."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            node.decorator_list = []
            return node
    raise AssertionError(function)


@pytest.mark.parametrize("name", FILES)
def test_every_input_is_described(name: str) -> None:
    (component,) = read(name)["components"].values()

    undescribed = [
        key
        for kind in component["inputDefinitions"].values()
        for key, one in kind.items()
        if not one.get("description")
    ]

    assert undescribed == []
