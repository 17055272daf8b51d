"""The JSON methods that make an object of others: compose and move."""

from collections.abc import Mapping
from typing import Any, Final

from homeport.api import storage_json
from homeport.api.storage_requests import Call, StorageVerbs
from homeport.errors import InvalidArgumentError
from homeport.resources.bucket import Conditions, NewObject, ObjectRef

Json = dict[str, Any]

_MAX_DIGITS: Final = 18  # int64


class CompositionMethods:
    """One method for each method of the API; each blocks and returns the response.

    Args:
        verbs: The verbs.
    """

    def __init__(self, verbs: StorageVerbs) -> None:
        self._buckets = verbs.buckets
        self._compositions = verbs.compositions

    def compose(self, call: Call, body: Json) -> Json:
        """Objects: compose."""
        bucket, name = call.names
        resource = body.get("destination") or {}
        sources = body.get("sourceObjects")
        if not isinstance(sources, list) or not isinstance(resource, dict):
            raise InvalidArgumentError(
                "a compose needs sourceObjects, a list of objects with a name each"
            )
        properties = storage_json.merged({}, storage_json.object_properties(resource))
        target = NewObject(
            bucket,
            name,
            properties,
            call.conditions(),
            storage_json.resource_checksums(resource),
        )
        made = self._compositions.compose(
            [_source(bucket, source) for source in sources], target
        )
        return storage_json.stored_object(made, call.base_url)

    def move(self, call: Call, body: Json) -> Json:
        """Objects: move."""
        del body
        bucket, name, to_name = call.names
        source = ObjectRef(
            bucket, name, call.number("sourceGeneration"), call.conditions("ifSource")
        )
        target = NewObject(bucket, to_name, conditions=call.conditions())
        moved = self._buckets.move_object(source, target)
        return storage_json.stored_object(moved, call.base_url)


def _source(bucket: str, source: object) -> ObjectRef:
    """Return one of a compose's sources.

    Raises:
        InvalidArgumentError: It has no name, or a generation that is no number.
    """
    if not isinstance(source, Mapping) or not isinstance(source.get("name"), str):
        raise InvalidArgumentError("each of sourceObjects needs a name, a string")
    wanted = source.get("objectPreconditions") or {}
    conditions = Conditions(
        generation_match=_generation(
            wanted.get("ifGenerationMatch") if isinstance(wanted, Mapping) else None
        )
    )
    generation = _generation(source.get("generation"))
    return ObjectRef(bucket, source["name"], generation, conditions)


def _generation(value: object) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidArgumentError(
            f"generation {text!r:.40} of a source: expected a whole number"
        )
    return int(text)
