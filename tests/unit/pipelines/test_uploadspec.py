"""What cannot be served as asked is refused before any file is touched."""

import dataclasses
from typing import Any

import pytest

from homeport.errors import InvalidArgumentError
from homeport.pipelines.place import Place
from homeport.pipelines.uploadspec import Entry, ModelFiles, Serving, UploadSpec

PREBUILT = Serving(
    custom=False, image="prebuilt", health_route="/ping",
    predict_route="/predictions/model",
)  # fmt: skip
CUSTOM = dataclasses.replace(PREBUILT, custom=True, image="own")


def spec(serving: Serving = PREBUILT, model_name: str = "model", **files: Any) -> Any:
    given = {"folder": "gs://b/model", "weights": "ckpt.pt", **files}
    return UploadSpec(
        place=Place("p", "us-central1"),
        files=ModelFiles(**given),
        serving=serving,
        entry=Entry(display_name="texts"),
        model_name=model_name,
    )


def test_requirements_need_a_custom_container() -> None:
    staged: Any = {"staging": "gs://b/extra", "requirements": "requirements.txt"}

    with pytest.raises(InvalidArgumentError) as refused:
        spec(**staged)

    assert refused.value.message == (
        "requirements 'requirements.txt' needs a custom container, as the prebuilt "
        "ones install nothing when they start: give custom_container=True and, as "
        "serving_container_image_uri, an image whose config.properties says "
        "install_py_dep_per_model=true"
    )
    assert spec(CUSTOM, **staged).files.requirements == "requirements.txt"


def test_another_name_than_model_needs_a_custom_container() -> None:
    with pytest.raises(InvalidArgumentError, match=r"look for model\.mar"):
        spec(model_name="digits")


def test_a_route_of_torchserve_leads_to_the_model() -> None:
    with pytest.raises(InvalidArgumentError, match="give /predictions/digits"):
        spec(CUSTOM, model_name="digits")


@pytest.mark.parametrize("route", ["/predictions/digits", "/predictions/digits/1.0"])
def test_a_custom_container_has_a_route_of_its_own(route: str) -> None:
    serving = dataclasses.replace(CUSTOM, predict_route=route)

    assert spec(serving, model_name="digits").model_name == "digits"


def test_a_model_on_this_machine_needs_a_bucket_for_its_archive() -> None:
    with pytest.raises(InvalidArgumentError, match="as archive_path"):
        spec(folder="/runs/1/model")


def test_an_archive_goes_to_a_bucket() -> None:
    with pytest.raises(InvalidArgumentError, match="archive_path '/archives' is in no"):
        dataclasses.replace(spec(), archive_folder="/archives")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"weights": ""}, "local_model_file '' is no file", id="none"),
        pytest.param({"weights": "a/b.pt"}, "local_model_file 'a/b.pt'", id="a path"),
        pytest.param({"ignored": ("ckpt.pt",)}, "is the model itself", id="ignored"),
        pytest.param({"tokenizer_name": "t"}, "give custom_tokenizer_path", id="name"),
        pytest.param({"handler": "h.py"}, "give extra_files_staging_path", id="from"),
        pytest.param(
            {"staging": "gs://b", "extra": ("x/y",)}, "extra_prediction_files", id="way"
        ),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    files: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        spec(**files)


@pytest.mark.parametrize(
    ("handler", "file"),
    [
        ("", ""),
        ("image_classifier", ""),
        ("custom_handler.py", "custom_handler.py"),
        ("custom_handler.py:handle", "custom_handler.py"),
    ],
)
def test_a_handler_is_a_file_unless_it_is_torchserves(handler: str, file: str) -> None:
    assert spec(staging="gs://b/extra", handler=handler).files.handler_file == file


def test_what_counts_for_custom_containers_alone_is_told() -> None:
    serving = dataclasses.replace(PREBUILT, ports=(8080,), variables={"A": "1"})

    assert serving.unused == ("serving_container_ports", "serving_environment_vars")
    assert dataclasses.replace(serving, custom=True).unused == ()


def test_a_display_name_is_needed() -> None:
    with pytest.raises(InvalidArgumentError, match="model_display_name is empty"):
        Entry(display_name=" ")
