"""What a model is made of and how it is to be registered, as the step was told."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from homeport.archive import manifest
from homeport.errors import InvalidArgumentError
from homeport.pipelines import addresses, parameters
from homeport.pipelines.place import Place

# What the prebuilt images of Vertex AI look for: model.mar.
PREBUILT_NAME: Final = "model"
_TORCHSERVE_ROUTE: Final = "/predictions/"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The files that become an archive.

    Attributes:
        folder: Of the model, or the model's file itself.
        weights: The model's file in it.
        ignored: Files of the folder, relative to it, that stay out.
        staging: The folder of what follows; "" without.
        extra: Names of files.
        handler: A Python file's name, with `:function` behind where one is meant, or
            one of TorchServe's own; "" for its default.
        requirements: A file's name; "" for none.
        tokenizer: Address of a file; "" for none.
        tokenizer_name: What it is called in the archive; "" keeps its name.
    """

    folder: str
    weights: str
    ignored: tuple[str, ...] = ()
    staging: str = ""
    extra: tuple[str, ...] = ()
    handler: str = ""
    requirements: str = ""
    tokenizer: str = ""
    tokenizer_name: str = ""

    def __post_init__(self) -> None:
        if not addresses.is_plain(self.weights):
            raise InvalidArgumentError(
                f"local_model_file {self.weights!r:.200} is no file name: give the "
                "name alone, and its folder as gcs_model_path"
            )
        if self.weights in self.ignored:
            raise InvalidArgumentError(
                f"extra_files_to_ignore has {self.weights!r}, which is the model "
                "itself: take it off the list"
            )
        if self.tokenizer_name and not self.tokenizer:
            raise InvalidArgumentError(
                f"custom_tokenizer_name {self.tokenizer_name!r:.80} names no file: "
                "give custom_tokenizer_path too"
            )
        self._check_staged()

    @property
    def handler_file(self) -> str:
        """The handler's file; "" for one of TorchServe's own."""
        name = self.handler.partition(":")[0]
        return "" if not name or name in manifest.DEFAULT_HANDLERS else name

    @property
    def staged(self) -> dict[str, tuple[str, ...]]:
        """The files of the staging folder by the parameter that names them."""
        return {
            "handler": (self.handler_file,) if self.handler_file else (),
            "requirements": (self.requirements,) if self.requirements else (),
            "extra_prediction_files": self.extra,
        }

    def _check_staged(self) -> None:
        for parameter, names in self.staged.items():
            for name in names:
                if not addresses.is_plain(name):
                    raise InvalidArgumentError(
                        f"{parameter} has {name!r:.200}, which is no file name: give "
                        "names of files that lie in extra_files_staging_path itself"
                    )
                if not self.staging:
                    raise InvalidArgumentError(
                        f"{parameter} names {name}, and there is no folder to take it "
                        "from: give extra_files_staging_path"
                    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The container that serves.

    Attributes:
        custom: Whether it is the user's own, not a prebuilt one.
        image: Its address.
        health_route: Of a custom one.
        predict_route: Of a custom one.
        ports: Of a custom one; empty for the default.
        variables: Of a custom one.
        args: In place of the image's CMD.
        command: In place of the image's ENTRYPOINT.
    """

    custom: bool
    image: str
    health_route: str
    predict_route: str
    ports: tuple[int, ...] = ()
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    args: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parameters.required("serving_container_image_uri", self.image)
        for name, route in (
            ("health_route", self.health_route),
            ("predict_route", self.predict_route),
        ):
            if self.custom and not route.startswith("/"):
                raise InvalidArgumentError(
                    f"{name} is {route!r:.200}: give a path that begins with a slash"
                )

    @property
    def unused(self) -> tuple[str, ...]:
        """The parameters that were given and count for a custom container alone."""
        if self.custom:
            return ()
        given = {
            "serving_container_ports": self.ports,
            "serving_environment_vars": self.variables,
        }
        return tuple(name for name, value in given.items() if value)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the registry is told.

    Attributes:
        display_name: Of the model.
        description: Of the model.
        parent: Full name or id of the model that gets a version; "" for a new model.
        is_default: Whether the alias "default" moves to the version.
        version_description: Of the version.
    """

    display_name: str
    description: str = ""
    parent: str = ""
    is_default: bool = False
    version_description: str = ""

    def __post_init__(self) -> None:
        parameters.required("model_display_name", self.display_name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UploadSpec:
    """One upload.

    Attributes:
        place: Where to.
        files: What becomes the archive.
        serving: What serves it.
        entry: What the registry is told.
        model_name: Of the archive; TorchServe serves it under this name.
        version: In the archive's manifest.
        archive_folder: Address in a bucket; "" for the model's own folder.
    """

    place: Place
    files: ModelFiles
    serving: Serving
    entry: Entry
    model_name: str = PREBUILT_NAME
    version: str = "v1.0"
    archive_folder: str = ""

    def __post_init__(self) -> None:
        manifest.check_model_name(self.model_name)
        parameters.required("version", self.version)
        if self.serving.custom:
            self._check_route()
        else:
            self._check_prebuilt()
        if self.archive_folder and not addresses.is_bucket(self.archive_folder):
            raise InvalidArgumentError(
                f"archive_path {self.archive_folder!r:.200} is in no bucket: give a "
                "gs:// folder"
            )
        if not addresses.is_bucket(self.archive_folder or self.files.folder):
            raise InvalidArgumentError(
                f"gcs_model_path {self.files.folder!r:.200} is in no bucket, from "
                "which the registry could take the archive: give a gs:// folder for "
                "it as archive_path"
            )

    def _check_prebuilt(self) -> None:
        if self.files.requirements:
            raise InvalidArgumentError(
                f"requirements {self.files.requirements!r:.80} needs a custom "
                "container, as the prebuilt ones install nothing when they start: "
                "give custom_container=True and, as serving_container_image_uri, an "
                "image whose config.properties says install_py_dep_per_model=true"
            )
        if self.model_name != PREBUILT_NAME:
            raise InvalidArgumentError(
                f"model_name {self.model_name!r:.80} needs a custom container, as the "
                f"prebuilt ones look for {PREBUILT_NAME}.mar: leave it out, or give "
                "custom_container=True"
            )

    def _check_route(self) -> None:
        """Refuse TorchServe's route to a model of another name."""
        route = self.serving.predict_route
        named = route.removeprefix(_TORCHSERVE_ROUTE).partition("/")[0]
        if route.startswith(_TORCHSERVE_ROUTE) and named != self.model_name:
            raise InvalidArgumentError(
                f"predict_route {route!r:.200} leads to model {named!r:.80}, and this "
                f"one is {self.model_name!r}: give "
                f"{_TORCHSERVE_ROUTE}{self.model_name}"
            )
