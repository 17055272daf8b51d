"""What the documents claim of the code is executed: names, defaults, links, commands.

A setting, metric, route, room or dependency that no document tells of fails here.
"""

import dataclasses
import functools
import inspect
import json
import pathlib
import re
import shlex
import tomllib
import typing
from collections.abc import Iterable, Iterator

import click
import pytest
from starlette.routing import Route

from homeport import telemetry
from homeport.api import (
    checks,
    comparison,
    deployments,
    endpoints,
    evaluations,
    health,
    history,
    jobs,
    locations,
    models,
    openapi,
    operations,
    provenance,
    tokens,
    traffic,
    transfers,
)
from homeport.archive import golden, lineage, lockfile, manifest, members
from homeport.checking.report import StageName
from homeport.cli import check, main
from homeport.edge import (
    codec,
    messages,
    messages_evaluations,
    messages_transfers,
)
from homeport.packing.containers import ArchiveFormat
from homeport.settings import Settings
from homeport.worker import config

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "homeport"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMPATIBILITY = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
DEPENDENCIES = (ROOT / "docs" / "adr" / "0002-dependencies.md").read_text("utf-8")
FORMAT = (ROOT / "docs" / "format-mar.md").read_text(encoding="utf-8")
CHECKING = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
PIPELINES = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

DOCUMENTS = sorted(
    {
        *ROOT.glob("*.md"),
        *(
            path
            for folder in ("docs", "examples", "benchmarks", "src", "tests")
            for path in (ROOT / folder).rglob("*.md")
        ),
    }
)
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SERVE = main.get_command(click.Context(main), "serve")
assert SERVE is not None
SETTINGS = Settings(data_dir=pathlib.Path("homeport-data"))
# Distribution -> the module it is imported as, where the two differ.
IMPORTED_AS = {
    "google-cloud-aiplatform": r"google\.cloud import (?:\w+, )*aiplatform(?:_v1)?",
    "google-cloud-storage": r"google\.cloud import (?:\w+, )*storage",
    "prometheus-client": "prometheus_client",
    "pysimdjson": "simdjson",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
}


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def row_of(text: str, name: str) -> str:
    """Return the table row that begins with the name in backquotes."""
    found = re.search(rf"^\| `{re.escape(name)}`.*$", text, re.MULTILINE)
    assert found, f"no table row begins with `{name}`"
    return found[0]


# Settings and options


@pytest.mark.parametrize(
    "field", dataclasses.fields(Settings), ids=lambda one: one.name
)
def test_operations_tells_each_setting_with_its_default(
    field: dataclasses.Field[object],
) -> None:
    default = getattr(SETTINGS, field.name)

    row = row_of(OPERATIONS, field.name)

    assert f"| {shown_default(default)} |" in row


def test_the_command_line_has_the_defaults_of_settings() -> None:
    assert SERVE is not None
    with SERVE.make_context("serve", [], auto_envvar_prefix=None) as context:
        assert Settings(**context.params) == SETTINGS


@pytest.mark.parametrize("parameter", SERVE.params, ids=lambda one: one.name)
def test_operations_tells_each_option_and_variable_of_serve(
    parameter: click.Parameter,
) -> None:
    assert parameter.name is not None

    row = row_of(OPERATIONS, parameter.name)

    for option in (*parameter.opts, *parameter.secondary_opts):
        assert f"`{option}`" in row
    assert f"`HOMEPORT_SERVE_{parameter.name.upper()}`" in row


def shown_default(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case str() | pathlib.Path():
            return f"`{value}`"
        case _:
            return "none"


# Metrics and routes


def metric_families() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the name and labels of every metric a server shows."""
    metrics = telemetry.Metrics()
    metrics.meter("endpoint", "deployed").observe(200, 0.01)
    for gauge in (metrics.replicas_ready, metrics.replica_restarts, metrics.queued):
        gauge.labels("endpoint", "deployed").set(1)
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels}
        yield name, frozenset(labels - {"le"})


@pytest.mark.parametrize(
    ("name", "labels"), [pytest.param(*one, id=one[0]) for one in metric_families()]
)
def test_operations_tells_each_metric_with_its_labels(
    name: str, labels: frozenset[str]
) -> None:
    row = row_of(OPERATIONS, name)

    assert {label for label in labels if f"`{label}`" not in row} == set()


def methods_of(routes: Iterable[Route]) -> list[str]:
    """Return `GET models/*:listVersions` for each route, without its parents."""
    found = []
    for route in routes:
        path = re.sub(r"\{[a-z]+\}", "*", route.path)
        path = path.removeprefix("/projects/*/locations/*/")
        found += [
            f"{method} {path}" for method in sorted(set(route.methods or ()) - {"HEAD"})
        ]
    return found


# The routes only keep what they are given: nothing is called.
VERTEX_ROUTES = [
    *methods_of(models.routes(*typing.cast("typing.Any", (None, None, None)))),
    *methods_of(endpoints.routes(*typing.cast("typing.Any", (None, None)))),
    *methods_of(deployments.routes(*typing.cast("typing.Any", (None, None, None)))),
    *methods_of(operations.routes(*typing.cast("typing.Any", (None, None)))),
    *methods_of(transfers.routes(*typing.cast("typing.Any", (None, None, None)))),
    *methods_of(evaluations.routes(typing.cast("typing.Any", None))),
    *methods_of(locations.routes(typing.cast("typing.Any", None))),
    *methods_of(jobs.routes(*typing.cast("typing.Any", (None, None)))),
]
OWN_ROUTES = [
    *methods_of(health.routes(*typing.cast("typing.Any", (None,) * 4))),
    *methods_of(traffic.routes(*typing.cast("typing.Any", (None, None, None)))),
    *methods_of(checks.routes(typing.cast("typing.Any", None))),
    *methods_of(tokens.routes(typing.cast("typing.Any", None))),
    *methods_of(history.routes(typing.cast("typing.Any", None))),
    *methods_of(provenance.routes(typing.cast("typing.Any", None))),
    *methods_of(comparison.routes(typing.cast("typing.Any", None))),
    *methods_of(openapi.routes(())),
]


@pytest.mark.parametrize("route", VERTEX_ROUTES)
def test_compatibility_tells_each_method(route: str) -> None:
    assert f"`{route}`" in COMPATIBILITY


@pytest.mark.parametrize("route", OWN_ROUTES)
def test_operations_tells_each_route_of_our_own(route: str) -> None:
    assert f"`{route}`" in OPERATIONS


def fields_without_effect() -> list[str]:
    """Return every field that is accepted, returned and has no effect."""
    return [
        name
        for module in (messages, messages_evaluations, messages_transfers)
        for _, message in inspect.getmembers(module, inspect.isclass)
        if issubclass(message, codec.Message)
        for name, field in message.model_fields.items()
        # `Kept` alone is free JSON.
        if field.annotation is typing.Any
    ]


@pytest.mark.parametrize("field", sorted(set(fields_without_effect())))
def test_compatibility_tells_each_field_without_effect(field: str) -> None:
    assert f"`{field}`" in COMPATIBILITY


# The archive


def manifest_keys() -> set[str]:
    """Return every key of a manifest in which every field says something."""
    texts: dict[str, typing.Any] = {
        field.name: "x"
        for field in dataclasses.fields(manifest.Manifest)
        if field.type is str
    }
    texts["runtime"] = "python"
    full = manifest.Manifest(**texts, extensions=("x",), trust_pickle=True)
    document = json.loads(manifest.serialize(full))
    return {*document, *document["model"]}


def test_the_formats_fields_are_those_of_the_manifest() -> None:
    table = section(FORMAT, "## MANIFEST.json")

    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert sorted(listed) == sorted(manifest_keys())


def test_the_format_tells_its_documents_with_their_limits() -> None:
    for heading, most_bytes in (
        ("## MANIFEST.json", manifest.MAX_BYTES),
        (f"### {golden.PATH}", golden.MAX_BYTES),
        (f"### {lineage.PATH}", lineage.MAX_BYTES),
        (f"### {lockfile.PATH}", lockfile.MAX_BYTES),
    ):
        assert f"at most {most_bytes >> 20} MiB" in section(FORMAT, heading)


def test_the_format_tells_each_form() -> None:
    table = section(FORMAT, "## Four forms")

    listed = re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)

    assert set(listed) == {one.value for one in ArchiveFormat}


def test_the_format_tells_each_limit() -> None:
    limits = members.DEFAULT_LIMITS

    told = section(FORMAT, "## Limits")

    assert f"| {limits.max_members:,} |" in told
    assert f"| {limits.max_total_bytes >> 30} GiB |" in told
    free_mib = limits.ratio_free_bytes >> 20
    assert f"| {limits.max_ratio} times, from {free_mib} MiB on |" in told
    assert f"| {config.MAX_BYTES >> 10} KiB |" in told


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next of its kind or above."""
    below = text.partition(f"\n{heading}\n")[2]
    assert below, f"no heading {heading!r}"
    level = len(heading.split(maxsplit=1)[0])
    return re.split(rf"^#{{1,{level}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


# The check


@functools.cache
def source_text() -> str:
    """Return every module's text, with string literals that follow each other joined.

    Placeholders become `...`, as the document writes them.
    """
    text = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", text)
    return re.sub(r"\{[^{}]*\}", "...", joined)


def told_failures() -> list[str]:
    below = section(CHECKING, "## What fails, and what to do")
    below += section(CHECKING, "## When an archive is registered")
    below += section(PIPELINES, "## When a step fails or is cancelled")
    return re.findall(r"^\| `([^`]+)`", below, re.MULTILINE)


@pytest.mark.parametrize("message", told_failures())
def test_each_failure_of_the_document_is_one_of_the_code(message: str) -> None:
    source = source_text()

    strange = [
        part for part in message.split("...") if part.strip(" :(),") not in source
    ]

    assert strange == []


def test_the_stages_are_those_of_a_check() -> None:
    listed = re.findall(
        r"^\| `([a-z ]+)` \|", section(CHECKING, "## Stages"), re.MULTILINE
    )

    assert listed == [stage.value for stage in StageName]


def test_each_stage_with_a_failure_has_its_table() -> None:
    below = section(CHECKING, "## What fails, and what to do")

    titles = re.findall(r"^### (.+)$", below, re.MULTILINE)

    assert [title.lower() for title in titles[:-1]] == [
        stage.value for stage in StageName
    ]


def test_the_tolerances_are_those_of_a_sample() -> None:
    told = prose(CHECKING.replace("\n", " "))

    assert f"relative tolerance of {golden.RELATIVE_TOLERANCE:g} " in told
    assert f"absolute one of {golden.ABSOLUTE_TOLERANCE:g}," in told


def test_the_exit_codes_are_those_of_the_command() -> None:
    assert f"| {check.FAILED} | the archive failed |" in CHECKING


# Dependencies and rooms


def dependencies() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    names = {re.split(r"[\[<>=;~! ]", line, maxsplit=1)[0] for line in lines}
    return sorted(names - {project["name"]})


@pytest.mark.parametrize("dependency", dependencies())
def test_each_dependency_has_its_line_and_its_rooms(dependency: str) -> None:
    row = row_of(DEPENDENCIES, dependency)

    where = row.split("|")[-2]
    assert set(re.findall(r"`(\w+)`", where)) == importers(dependency)


def importers(dependency: str) -> set[str]:
    """Return the rooms that import a library, also those that do so if it is there."""
    module = IMPORTED_AS.get(dependency, dependency.replace("-", "_"))
    pattern = re.compile(
        rf"^\s*(?:import|from) {module}\b|[_.]module\(\"{module}\"\)", re.MULTILINE
    )
    return {
        path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for path in SOURCE.rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }


def test_architecture_lists_exactly_the_rooms_there_are() -> None:
    rooms = {
        path.stem
        for path in SOURCE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert sorted(listed_rooms()) == sorted(rooms - {"__init__", "__main__"})


def test_architecture_lists_the_rooms_in_the_order_of_the_layers() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    order = re.findall(r"\w+", " ".join(layers))

    listed = listed_rooms()

    assert [room for room in order if room in listed] == listed


def listed_rooms() -> list[str]:
    table = ARCHITECTURE.partition("| room | duty |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


# Links and commands


def prose(text: str) -> str:
    """Return a document without its code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: pathlib.Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_relative_link_leads_somewhere(document: pathlib.Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(document.read_text("utf-8")))

    broken = [target for target in targets if not leads_somewhere(document, target)]

    assert broken == []


def leads_somewhere(document: pathlib.Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return True
    path, _, anchor = target.partition("#")
    found = (document.parent / path).resolve() if path else document
    if not found.exists():
        return False
    return not anchor or anchor in anchors(found)


def commands(document: pathlib.Path) -> Iterator[list[str]]:
    """Yield the words of every `homeport ...` in a document's code."""
    text = document.read_text("utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks.append("\n".join(re.findall(r"^    (.*)$", text, re.MULTILINE)))
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(\$ |\w+=\S* )*(\S+ \| )?(\S*/)?homeport ", line):
                yield words_of(line)


def words_of(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    begin = next(i for i, word in enumerate(words) if word.endswith("homeport"))
    ended = [word in {"|", "&&", ";", "&", ">", "2>"} for word in words[begin:]]
    end = begin + ended.index(True) if True in ended else len(words)
    return words[begin + 1 : end]


COMMANDS = [
    pytest.param(words, id=f"{name_of(document)}: {' '.join(words)}")
    for document in GUIDES
    if document.exists()
    for words in commands(document)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_in_the_documents_exists(words: list[str]) -> None:
    parse(main, words)


def parse(command: click.Command, words: list[str]) -> None:
    """Resolve a command and what it is given, without running it.

    Raises:
        click.UsageError: No such command, option or choice, or an argument is missing.
    """
    context = click.Context(command, info_name=command.name)
    if isinstance(command, click.Group):
        if words[0] in {"--help", "--version"}:
            return
        _, below, rest = command.resolve_command(context, words)
        assert below is not None
        parse(below, rest)
        return
    values, left, _ = command.make_parser(context).parse_args(list(words))
    assert left == [], f"too many arguments: {left}"
    for parameter in command.get_params(context):
        value = values.get(parameter.name)
        given = isinstance(value, str | list | tuple | bool)
        if parameter.required and not values.get("help"):
            assert given, f"{parameter.name} is missing"
        if given and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["sevre"], id="no such command"),
        pytest.param(["serve", "--prot", "1"], id="no such option"),
        pytest.param(["serve", "--port", "many"], id="not a number"),
        pytest.param(["models", "lst"], id="no such command of a group"),
    ],
)
def test_a_command_with_a_mistake_is_found(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(main, words)


def test_a_command_without_its_argument_is_found() -> None:
    with pytest.raises(AssertionError, match="subject is missing"):
        parse(main, ["deploy"])


def test_every_document_begins_with_one_title() -> None:
    for document in DOCUMENTS:
        titles = re.findall(r"^# ", prose(document.read_text("utf-8")), re.MULTILINE)

        assert len(titles) == 1, name_of(document)
