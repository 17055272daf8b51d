"""Our messages of Vertex AI's API are read and written as the official client's are.

The oracle is `json_format` with the client's own classes, as in `test_codec`.
"""

import inspect
from typing import Any

import hypothesis
import pytest
from google.cloud import aiplatform_v1
from hypothesis import strategies as st

from homeport.edge import codec, messages, messages_evaluations, messages_transfers
from wire_documents import assert_agreement, documents

# Ours have another name where the value in `resources` has the same.
THEIRS = aiplatform_v1.types
# Messages inside messages of the client: they are reached through those.
WITHIN = {
    "ContainerRegistryDestination",
    "DeployedModelStatus",
    "ExportFormat",
    "OriginalModelInfo",
    "OutputConfig",
    "Slice",
    "SliceConfig",
    "SliceRange",
    "SliceSpec",
    "SliceValue",
}
# Of google.cloud.location, which the client's package does not have.
ELSEWHERE = {"Location", "ListLocationsResponse"}


def ours() -> dict[str, type[codec.Message]]:
    """Return every message of the wire by its name in the client."""
    return {
        name.removesuffix("Message"): message
        for module in (messages, messages_evaluations, messages_transfers)
        for name, message in inspect.getmembers(module, inspect.isclass)
        if issubclass(message, codec.Message) and message is not codec.Message
    }


OURS = ours()


@pytest.mark.parametrize("name", sorted(OURS.keys() - WITHIN - ELSEWHERE))
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=25, deadline=None)
def test_agrees_with_protobuf(name: str, data: st.DataObject) -> None:
    theirs = getattr(THEIRS, name).pb()

    document = data.draw(documents(OURS[name], theirs.DESCRIPTOR))

    assert_agreement(OURS[name], theirs, document)


@pytest.mark.parametrize("name", sorted(OURS.keys() - WITHIN - ELSEWHERE))
def test_has_every_field_of_the_client(name: str) -> None:
    descriptor: Any = getattr(THEIRS, name).pb().DESCRIPTOR

    theirs = {field.name for field in descriptor.fields}

    assert theirs - OURS[name].model_fields.keys() == set()
