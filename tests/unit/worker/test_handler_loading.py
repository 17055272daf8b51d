"""Handlers are found as TorchServe finds them; a failure names its true cause."""

import importlib
import json
import pathlib
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch

from homeport.archive.manifest import Manifest
from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.worker import config, handler, handlers, loading, optional, weights
from homeport.worker.context import Context
from homeport.worker.handler import EntryPoint
from homeport.worker.loading import LoadRefusedError

MakeArchive = Callable[..., pathlib.Path]
CONFIGURED = Manifest(model_name="m", handler="handler", config_file="c.yaml")
pytestmark = pytest.mark.usefixtures("child_imports")


def load(model_dir: pathlib.Path) -> EntryPoint:
    archive = handler.open_archive(model_dir)
    handler.enter(model_dir)
    return handler.find(archive)(handler.make_context(archive, None))


def failure(model_dir: pathlib.Path) -> loading.LoadFailure:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it raises
        load(model_dir)
    return loading.explain(caught.value, model_dir)


def context_of(model_dir: pathlib.Path) -> Context:
    return handler.make_context(handler.open_archive(model_dir), None)


@pytest.mark.parametrize(
    "name",
    ["word_count", "word_count.py", "word_count:handle", "word_count.py:handle"],
)
def test_a_module_level_function_is_called_once_at_load(
    make_archive: MakeArchive, name: str
) -> None:
    model_dir = make_archive("word_count", handler=name)

    entry_point = load(model_dir)

    assert sys.modules["word_count"].model is str.split
    assert entry_point([{"text": "a b"}], context_of(model_dir)) == [{"words": 2}]


def test_a_class_is_made_and_initialised(make_archive: MakeArchive) -> None:
    model_dir = make_archive("batched", configFile="model-config.yaml")

    entry_point = load(model_dir)

    assert entry_point([1, 2], context_of(model_dir)) == [2, 2]


def test_the_model_directory_is_current_and_comes_first(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive("word_count", handler="word_count.py")

    load(model_dir)

    assert pathlib.Path.cwd() == model_dir
    assert sys.path[0] == str(model_dir)


def test_a_handler_file_may_have_the_name_of_a_loaded_module(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive("word_count", handler="json.py")
    (model_dir / "word_count.py").rename(model_dir / "json.py")

    load(model_dir)

    assert sys.modules["json"].__name__ == "json"
    assert hasattr(sys.modules["json"], "dumps")


def test_a_missing_package_is_named_with_the_authors_traceback(
    make_archive: MakeArchive,
) -> None:
    told = failure(make_archive("missing_package"))

    assert told.cause == (
        "handler.py line 1 raised ModuleNotFoundError: "
        "No module named 'no_such_package_anywhere'"
    )
    assert told.remedy == (
        "If no_such_package_anywhere is a package, list no_such_package_anywhere in "
        "a requirements file and pack the archive again with it, or install it where "
        "Homeport runs; if no_such_package_anywhere.py is a file of yours, add it to "
        "the archive with --extra-files."
    )
    assert told.traceback == (
        "Traceback (most recent call last):\n"
        '  File "handler.py", line 1, in <module>\n'
        "    import no_such_package_anywhere\n"
        "ModuleNotFoundError: No module named 'no_such_package_anywhere'\n"
    )


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        pytest.param(
            "raise ModuleNotFoundError('', name='cv2')",
            "Please list opencv-python-headless in a requirements file",
            id="a package of another name",
        ),
        pytest.param(
            "import helper.missing_part",
            "Add the file of helper.missing_part to the archive",
            id="a part of the archive's own",
        ),
        pytest.param(
            "from ts.torch_handler.object_detector import ObjectDetector",
            "Homeport brings BaseHandler, VisionHandler, ImageClassifier",
            id="a part of TorchServe",
        ),
        pytest.param(
            "open('labels.txt')", "Pack the file with --extra-files", id="open"
        ),
        pytest.param("1 / 0", "Correct the code and pack", id="anything else"),
        pytest.param("def broken(:", "Correct the code and pack", id="syntax"),
    ],
)
def test_the_remedy_fits_the_cause(
    make_archive: MakeArchive, source: str, remedy: str
) -> None:
    model_dir = make_archive("own", handler="handler.py")
    (model_dir / "handler.py").write_text(source)
    (model_dir / "helper").mkdir()

    told = failure(model_dir)

    assert told.remedy.startswith(remedy)
    assert told.cause.startswith("handler.py ")
    assert str(model_dir) not in told.cause + told.traceback


def test_a_missing_file_is_shown_without_the_servers_path(
    make_archive: MakeArchive,
) -> None:
    told = failure(make_archive("missing_file"))

    assert told.cause == (
        "handler.py line 8 raised FileNotFoundError: "
        "[Errno 2] No such file or directory: 'vocabulary.json'"
    )


def test_two_handler_classes_are_refused_by_name(make_archive: MakeArchive) -> None:
    told = failure(make_archive("two_handlers"))

    assert told.cause == (
        "the handler handler.py defines 2 classes with initialize and handle "
        "(First, Second), and exactly one can be served"
    )
    assert told.traceback == ""


def test_a_file_without_an_entry_point_is_refused(make_archive: MakeArchive) -> None:
    assert (
        "model.py has no function predict"
        in failure(make_archive("tiny_mlp", handler="model.py:predict")).cause
    )


def test_a_handler_file_that_is_not_there_is_named(make_archive: MakeArchive) -> None:
    told = failure(make_archive("word_count", handler="other.py"))

    assert "other.py is not in the archive" in told.cause


@pytest.mark.parametrize(
    "name",
    [
        "dali_image_classifier",
        "image_segmenter",
        "object_detector",
        "text_classifier",
        "trt_llm_handler",
        "vllm_handler",
    ],
)
def test_torchserves_own_handlers_are_refused_by_name(
    make_archive: MakeArchive, name: str
) -> None:
    told = failure(make_archive("empty", handler=name))

    assert told.cause.startswith(f"{name} is a handler of TorchServe's own")
    assert told.remedy.startswith("Pack your own handler file")


def test_an_archive_without_a_manifest_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"has no MAR-INF/MANIFEST\.json"):
        handler.open_archive(tmp_path)


def test_the_config_file_acts_and_reaches_the_context(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive("batched", configFile="model-config.yaml")

    archive = handler.open_archive(model_dir)

    assert archive.config.policy.max_size == 4
    assert archive.config.response_timeout_s == 30.0
    assert context_of(model_dir).model_yaml_config["minWorkers"] == 1
    assert context_of(model_dir).system_properties["batch_size"] == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a: [", "is not valid YAML", id="cut off"),
        pytest.param("- 1", "holds a list", id="no mapping"),
        pytest.param("responseTimeout: soon", "responseTimeout is 'soon'", id="text"),
    ],
)
def test_a_config_file_that_is_wrong_is_refused(
    tmp_path: pathlib.Path, text: str, words: str
) -> None:
    (tmp_path / "c.yaml").write_text(text)

    with pytest.raises(InvalidArgumentError, match=words):
        config.load(tmp_path, CONFIGURED, {})


def test_a_config_file_needs_pyyaml(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(FailedPreconditionError, match="install pyyaml"):
        config.load(tmp_path, CONFIGURED, {})


def test_an_optional_module_that_is_broken_is_not_taken_for_missing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_option.py").write_text("import no_such_package_anywhere")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert optional.module("no_such_package_anywhere") is None
    with pytest.raises(ModuleNotFoundError, match="no_such_package_anywhere"):
        optional.module("broken_option")


def save_mlp(model_dir: pathlib.Path, checkpoint: object) -> None:
    torch.save(checkpoint, model_dir / "weights.pth")


def base_handler(model_dir: pathlib.Path) -> object:
    """Return what BaseHandler answers to one row of halves."""
    handler.enter(model_dir)
    base = importlib.import_module("ts.torch_handler.base_handler").BaseHandler()
    context = context_of(model_dir)
    base.initialize(context)
    return base.handle([[0.5] * base.model.net[0].in_features], context)


def layers(inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    return {
        "net.0.weight": torch.ones(32, inputs),
        "net.0.bias": torch.zeros(32),
        "net.2.weight": torch.ones(outputs, 32),
        "net.2.bias": torch.zeros(outputs),
    }


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        pytest.param(layers(16, 4), [[256.0] * 4], id="a state dict"),
        pytest.param({"state_dict": layers(16, 4)}, [[256.0] * 4], id="inside"),
        pytest.param(
            {
                "model_state_dict": layers(2, 1),
                "model_config": {"inputs": 2, "outputs": 1},
            },
            [[32.0]],
            id="with the constructor's arguments",
        ),
    ],
)
def test_base_handler_loads_a_model_file_with_weights(
    make_archive: MakeArchive, checkpoint: object, expected: object
) -> None:
    model_dir = make_archive(
        "tiny_mlp",
        handler="base_handler",
        modelFile="model.py",
        serializedFile="weights.pth",
    )
    save_mlp(model_dir, checkpoint)

    assert base_handler(model_dir) == expected


OWN_LOADER = """import torch
from ts.torch_handler.base_handler import BaseHandler


class Doubled(torch.nn.Module):
    def forward(self, rows):
        return 2 * rows


class Own(BaseHandler):
    def _load_torchscript_model(self, model_pt_path):
        self.asked = [model_pt_path]
        return Doubled()

    def _load_pickled_model(self, model_dir, model_file, model_pt_path):
        self.asked = [model_dir, model_file, model_pt_path]
        return Doubled()
"""


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        pytest.param({"serializedFile": "m.pt"}, ["{}/m.pt"], id="a whole model"),
        pytest.param(
            {"modelFile": "net.py", "serializedFile": "m.pt"},
            ["{}", "net.py", "{}/m.pt"],
            id="weights of a class",
        ),
        pytest.param(
            {"modelFile": "net.py"}, ["{}", "net.py", None], id="a class alone"
        ),
    ],
)
def test_a_handler_may_load_the_model_in_place_of_base_handler(
    make_archive: MakeArchive, named: dict[str, str], asked: list[str | None]
) -> None:
    model_dir = make_archive("own", **named)
    (model_dir / "handler.py").write_text(OWN_LOADER)
    # Nothing that BaseHandler could load.
    (model_dir / "m.pt").write_text("of the author's own form")

    own, context = initialised(model_dir)

    assert own.asked == [one and one.format(model_dir) for one in asked]
    assert own.handle([[1.5]], context) == [[3.0]]
    assert not own.model.training


ADDS = """import pathlib

import torch
from ts.torch_handler.base_handler import BaseHandler


class Own(BaseHandler):
    def initialize(self, context):
        model_dir = pathlib.Path(context.system_properties["model_dir"])
        self.model = self._load_torchscript_model(str(model_dir / "m.pt"))
        self.device = torch.device("cpu")
"""


def test_a_handlers_own_initialize_may_load_by_base_handlers_method(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive("adds", serializedFile="m.pt")
    (model_dir / "handler.py").write_text(ADDS)
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    torch.jit.save(torch.jit.script(layer), model_dir / "m.pt")

    own, context = initialised(model_dir)

    assert own.handle([[1.0, 2.0]], context) == [[3.0]]


def initialised(model_dir: pathlib.Path) -> tuple[Any, Context]:
    """Return the class Own of an archive's handler, and its context."""
    handler.enter(model_dir)
    context = context_of(model_dir)
    own = importlib.import_module("handler").Own()
    own.initialize(context)
    return own, context


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        pytest.param(torch.nn.Linear(1, 1), "holds Python objects", id="whole model"),
        pytest.param([1, 2], "holds a list", id="no state dict"),
        pytest.param(layers(3, 4), "do not fit the class TinyMLP", id="other shapes"),
    ],
)
def test_weights_that_are_none_are_refused(
    make_archive: MakeArchive, checkpoint: object, words: str
) -> None:
    model_dir = make_archive(
        "tiny_mlp",
        handler="base_handler",
        modelFile="model.py",
        serializedFile="weights.pth",
    )
    save_mlp(model_dir, checkpoint)

    with pytest.raises(LoadRefusedError, match=words):
        base_handler(model_dir)


@pytest.mark.parametrize(
    ("checkpoint", "cause", "remedy"),
    [
        pytest.param(
            {"model": layers(16, 4), "epoch": 3},
            "weights.pth is a checkpoint, and none of its entries ('model', 'epoch') "
            "is called model_state_dict or state_dict",
            "Save the entry with the weights alone, or under one of these names, and "
            "pack it again.",
            id="weights under a name of the author's",
        ),
        pytest.param(
            {f"module.{name}": value for name, value in layers(16, 4).items()},
            "the weights in weights.pth do not fit the class TinyMLP in model.py: ",
            "They were saved from a DataParallel, which puts 'module.' before every "
            "name: save model.module.state_dict() and pack it again.",
            id="data parallel",
        ),
        pytest.param(
            layers(3, 4),
            "the weights in weights.pth do not fit the class TinyMLP in model.py: ",
            "Pack the model file that the weights were saved from.",
            id="other shapes",
        ),
    ],
)
def test_weights_that_do_not_fit_are_told_once_with_the_true_remedy(
    make_archive: MakeArchive, checkpoint: object, cause: str, remedy: str
) -> None:
    model_dir = make_archive(
        "tiny_mlp",
        handler="base_handler",
        modelFile="model.py",
        serializedFile="weights.pth",
    )
    save_mlp(model_dir, checkpoint)

    with pytest.raises(LoadRefusedError) as caught:
        base_handler(model_dir)

    told = loading.explain(caught.value, model_dir)
    assert told.cause.startswith(cause)
    assert not told.cause.endswith(".")
    assert told.remedy == remedy
    assert told.traceback == ""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({}, "the serializedFile is nothing", id="no weights"),
        pytest.param(
            {"serializedFile": "gone.pt"}, "gone.pt as serializedFile", id="missing"
        ),
        pytest.param({"modelFile": "gone.py"}, "gone.py as modelFile", id="no source"),
        pytest.param({"serializedFile": "model.py"}, "is model.py", id="an ending"),
    ],
)
def test_an_archive_without_a_model_is_refused(
    make_archive: MakeArchive, files: dict[str, str], words: str
) -> None:
    model_dir = make_archive("tiny_mlp", handler="base_handler", **files)

    with pytest.raises(LoadRefusedError, match=words):
        base_handler(model_dir)


def test_a_file_that_is_no_torchscript_is_refused(make_archive: MakeArchive) -> None:
    model_dir = make_archive(
        "tiny_mlp", handler="base_handler", serializedFile="model.pt"
    )
    (model_dir / "model.pt").write_bytes(b"no model")

    with pytest.raises(LoadRefusedError, match=r"model.pt is no TorchScript"):
        base_handler(model_dir)


def test_an_exported_program_is_served(tmp_path: pathlib.Path) -> None:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    program = torch.export.export(model, (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "m.pt2")

    loaded = weights.load_whole(tmp_path, "m.pt2", torch.device("cpu"), str)

    assert loaded(torch.ones(1, 2)).tolist() == [[2.0]]


def test_labels_are_read_as_torchserve_reads_them(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_text('{"0": "cat", "1": ["n02", "dog"]}')

    mapping = handlers.load_label_mapping(str(path))

    assert mapping == {"0": "cat", "1": "dog"}
    assert handlers.map_class_to_label([[0.25, 0.75]], mapping) == [
        {"cat": 0.25, "dog": 0.75}
    ]
    assert handlers.map_class_to_label([[0.9]], mapping, [[1]]) == [{"dog": 0.9}]
    assert handlers.load_label_mapping(str(tmp_path / "none.json")) is None


ENTRY_POINTS = """
import functools

class Service:
    def __init__(self):
        self.loaded = 0

    def __call__(self, data, context):
        if data is None:
            self.loaded += 1
            return None
        return [self.loaded for _ in data]

    def answer(self, data, context):
        return self(data, context)

class Other:
    def initialize(self, context): ...
    def handle(self, data, context):
        return ["other" for _ in data]

handle = Service()
entry = Service().answer
part = functools.partial(Service.__call__, Service())
constant = 1
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("own.py", 1, id="a callable object"),
        pytest.param("own.py:entry", 1, id="a bound method"),
        pytest.param("own.py:part", 1, id="a partial"),
        pytest.param("own.py:Other", "other", id="a class by its name"),
    ],
)
def test_an_entry_point_is_anything_that_can_be_called(
    make_archive: MakeArchive, name: str, expected: object
) -> None:
    model_dir = make_archive("entry_points", handler=name)
    (model_dir / "own.py").write_text(ENTRY_POINTS)

    assert load(model_dir)([1], context_of(model_dir)) == [expected]


@pytest.mark.parametrize("named", ["missing", "constant"])
def test_a_named_entry_point_that_is_none_is_refused(
    make_archive: MakeArchive, named: str
) -> None:
    model_dir = make_archive("entry_points", handler=f"own.py:{named}")
    (model_dir / "own.py").write_text(ENTRY_POINTS)

    told = failure(model_dir)

    assert told.cause == (
        f"the manifest names the handler own.py:{named} and own.py has no function "
        f"{named}"
    )


@pytest.mark.parametrize("ending", ["", " from error", " from None"])
def test_an_import_error_that_was_taken_for_something_else_is_named(
    make_archive: MakeArchive, ending: str
) -> None:
    model_dir = make_archive("masked", handler="masked.py")
    (model_dir / "masked.py").write_text(
        "try:\n"
        "    import no_such_package_anywhere\n"
        "except ImportError as error:\n"
        f"    raise RuntimeError('no handler here'){ending}\n"
    )

    told = failure(model_dir)

    assert told.cause == (
        "masked.py line 2 raised ModuleNotFoundError: No module named "
        "'no_such_package_anywhere'; what it was taken for: "
        "masked.py line 4 raised RuntimeError: no handler here"
    )
    assert "list no_such_package_anywhere in a requirements file" in told.remedy


def test_an_import_error_that_a_fallback_failed_after_stays_second(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive("fallback", handler="fallback.py")
    (model_dir / "fallback.py").write_text(
        "try:\n    import no_such_package_anywhere\n"
        "except ImportError:\n    import nor_this_one\n"
    )

    told = failure(model_dir)

    assert told.cause == (
        "fallback.py line 4 raised ModuleNotFoundError: No module named 'nor_this_one'"
    )


def test_a_failure_in_a_library_is_told_without_the_servers_paths(
    make_archive: MakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/private/homeport-replica-1")
    model_dir = make_archive("own", handler="own.py")
    (model_dir / "own.py").write_text(
        "import json, os, torch\n"
        "try:\n"
        "    json.loads('{')\n"
        "except ValueError as error:\n"
        "    try:\n"
        "        torch.load('/private/homeport-replica-1/x.pt')\n"
        "    except OSError:\n"
        "        raise ValueError(f'{os.__file__} {torch.__file__}') from error\n"
    )

    told = failure(model_dir)

    assert told.cause == (
        "own.py line 8 raised ValueError: python/os.py site-packages/torch/__init__.py"
    )
    assert 'File "python/json/__init__.py"' in told.traceback
    for path in (sys.prefix, sys.base_prefix, str(model_dir), "/private"):
        assert path not in told.traceback


def test_a_library_that_lies_elsewhere_is_told_without_its_place(
    make_archive: MakeArchive, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a .pth file, or an installation for editing, adds them.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shouting.py").write_text(
        "def shout():\n    raise OSError(__file__)\n"
    )
    monkeypatch.syspath_prepend(elsewhere)
    model_dir = make_archive("own", handler="own.py")
    (model_dir / "own.py").write_text("import shouting\n\nshouting.shout()\n")

    told = failure(model_dir)

    assert told.cause == "own.py line 3 raised OSError: site-packages/shouting.py"
    assert 'File "site-packages/shouting.py", line 2, in shout' in told.traceback
    assert str(tmp_path) not in told.traceback


def test_a_state_dict_without_a_model_file_is_named_once(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive(
        "tiny_mlp", handler="base_handler", serializedFile="model.pt"
    )
    torch.save(layers(16, 4), model_dir / "model.pt")

    with pytest.raises(LoadRefusedError) as caught:
        base_handler(model_dir)

    told = loading.explain(caught.value, model_dir)
    assert told.cause == "model.pt was written by torch.save and is no TorchScript"
    assert told.remedy.startswith("Pack it together with --model-file")
    assert told.traceback == ""


def test_a_whole_module_loads_only_from_an_archive_that_trusts_it(
    make_archive: MakeArchive,
) -> None:
    model_dir = make_archive(
        "tiny_mlp", handler="base_handler", serializedFile="whole.pt"
    )
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    torch.save(layer, model_dir / "whole.pt")
    cpu = torch.device("cpu")

    with pytest.raises(LoadRefusedError, match=r"whole\.pt .* is no TorchScript"):
        weights.load_script(model_dir, model_dir / "whole.pt", cpu)
    manifest = model_dir / "MAR-INF/MANIFEST.json"
    document = json.loads(manifest.read_text())
    document["model"]["trustPickle"] = True
    manifest.write_text(json.dumps(document))

    (model_dir / "deeper").mkdir()
    torch.save(layer, model_dir / "deeper/whole.pt")
    for name in ("whole.pt", "deeper/whole.pt"):
        whole = weights.load_script(model_dir, model_dir / name, cpu)
        assert whole(torch.ones(2)).tolist() == [2]
    torch.save([1], model_dir / "list.pt")
    with pytest.raises(LoadRefusedError, match="holds a list and no module"):
        weights.load_script(model_dir, model_dir / "list.pt", cpu)


def test_safetensors_need_their_package(
    make_archive: MakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_dir = make_archive("tiny_mlp", handler="base_handler")
    (model_dir / "w.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.syspath_prepend(str(model_dir))

    with pytest.raises(LoadRefusedError, match=r"install safetensors \(the extra"):
        weights.load_eager(
            model_dir, "model.py", model_dir / "w.safetensors", torch.device("cpu")
        )


def test_machine_code_of_another_machine_is_refused(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/data/aotinductor/model/x.wrapper.so", "no code")

    with pytest.raises(LoadRefusedError, match=r"m\.pt2 is no AOTInductor package"):
        weights.load_whole(tmp_path, "m.pt2", torch.device("cpu"), str)
