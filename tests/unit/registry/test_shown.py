"""What lists show and find of models is what their versions have, after any change."""

import contextlib
import itertools
from collections.abc import Mapping

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from derived import derived, kept
from homeport.errors import HomeportError
from homeport.registry.paging import PageRequest
from homeport.registry.targets import Target
from homeport.resources.listing import ListQuery
from homeport.resources.model import ContainerSpec, ModelPatch, VersionSpec
from homeport.resources.names import ModelName, Parent
from rooms import Rooms

IDS = st.sampled_from(["a", "b"])
VERSIONS = st.sampled_from(["", "1", "2", "3", "beta", "default"])
ALIASES = st.sampled_from(["beta", "gold", "default"])
LABELS = st.dictionaries(st.sampled_from(["k", "team"]), st.sampled_from(["x", "y"]))


class Registry(stateful.RuleBasedStateMachine):
    """Everything that changes what a model shows, in a location of its own.

    What is refused changes nothing, which the invariant shows as well.
    """

    def __init__(self, rooms: Rooms, parent: Parent) -> None:
        super().__init__()
        self.rooms = rooms
        self.parent = parent

    def name(self, model: str, version: str = "") -> ModelName:
        return ModelName(self.parent, model, version)

    @stateful.rule(
        model=IDS,
        labels=LABELS,
        aliases=st.lists(ALIASES, unique=True),
        new=st.booleans(),
    )
    def upload(
        self, model: str, labels: Mapping[str, str], aliases: list[str], *, new: bool
    ) -> None:
        spec = VersionSpec(
            "m",
            labels=labels,
            aliases=tuple(aliases),
            container=ContainerSpec("example.com/m:1"),
        )
        parent_model = None if new else self.name(model)
        target = Target(self.parent, parent_model, model if new else "")
        with contextlib.suppress(HomeportError):
            self.rooms.wait(self.rooms.uploads.upload(target, spec))

    @stateful.rule(
        model=IDS,
        version=VERSIONS,
        given_=st.lists(ALIASES, unique=True),
        taken=st.lists(ALIASES, unique=True),
    )
    def merge_aliases(
        self, model: str, version: str, given_: list[str], taken: list[str]
    ) -> None:
        changes = (*given_, *(f"-{alias}" for alias in taken))
        with contextlib.suppress(HomeportError):
            self.rooms.catalog.merge_aliases(self.name(model, version), changes)

    @stateful.rule(model=IDS, version=VERSIONS, labels=LABELS)
    def replace_labels(
        self, model: str, version: str, labels: Mapping[str, str]
    ) -> None:
        with contextlib.suppress(HomeportError):
            patch = ModelPatch(labels=labels)
            self.rooms.catalog.update(self.name(model, version), patch)

    @stateful.rule(
        model=IDS,
        version=VERSIONS,
        key=st.sampled_from(["k", "team"]),
        value=st.sampled_from([None, "x", "z"]),
    )
    def change_label(
        self, model: str, version: str, key: str, value: str | None
    ) -> None:
        with contextlib.suppress(HomeportError):
            patch = ModelPatch(label_changes={key: value})
            self.rooms.catalog.update(self.name(model, version), patch)

    @stateful.rule(model=IDS, version=VERSIONS)
    def delete_version(self, model: str, version: str) -> None:
        with contextlib.suppress(HomeportError):
            self.rooms.catalog.delete_version(self.name(model, version))

    @stateful.rule(model=IDS)
    def delete_model(self, model: str) -> None:
        with contextlib.suppress(HomeportError):
            self.rooms.catalog.delete_model(self.name(model))

    @stateful.rule(source=IDS, version=VERSIONS, model=IDS, new=st.booleans())
    def copy(self, source: str, version: str, model: str, *, new: bool) -> None:
        parent_model = None if new else self.name(model)
        target = Target(self.parent, parent_model, model if new else "")
        with contextlib.suppress(HomeportError):
            self.rooms.transfers.copy(self.name(source, version), target)

    def teardown(self) -> None:
        """Leave nothing to be looked at again."""
        for model in ("a", "b"):
            self.delete_model(model)

    @stateful.invariant()
    def what_is_kept_is_what_is_derived(self) -> None:
        with self.rooms.database.snapshot() as transaction:
            assert kept(transaction) == derived(transaction)

    @stateful.invariant()
    def a_list_shows_what_its_models_are(self) -> None:
        query = ListQuery("ListModels", str(self.parent))
        listed, _ = self.rooms.catalog.list_models(self.parent, PageRequest(query))

        found = [self.rooms.catalog.get(one.name.unversioned) for one in listed]
        assert listed == found

    @stateful.rule(
        key=st.sampled_from(["k", "team"]), value=st.sampled_from(["x", "y"])
    )
    def a_filter_finds_what_has_the_label(self, key: str, value: str) -> None:
        everything = ListQuery("ListModels", str(self.parent))
        narrowed = ListQuery("ListModels", str(self.parent), f"labels.{key} = {value}")

        listed, _ = self.rooms.catalog.list_models(self.parent, PageRequest(everything))
        found, _ = self.rooms.catalog.list_models(self.parent, PageRequest(narrowed))

        assert found == [one for one in listed if one.labels.get(key) == value]


def test_whatever_is_changed_lists_show_and_find_what_versions_have(
    rooms: Rooms,
) -> None:
    locations = (f"l{number}" for number in itertools.count())

    class InALocation(Registry):
        def __init__(self) -> None:
            super().__init__(rooms, Parent("p", next(locations)))

    stateful.run_state_machine_as_test(
        InALocation,
        settings=hypothesis.settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )
