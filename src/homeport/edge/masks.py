"""Read masks of lists: which fields of each resource are shown (AIP-157)."""

from collections.abc import Iterable
from typing import TypeVar

from homeport.edge import codec
from homeport.errors import InvalidArgumentError

_M = TypeVar("_M", bound=codec.Message)


def shown(
    message_type: type[_M], messages: Iterable[_M], read_mask: str
) -> tuple[_M, ...]:
    """Return the messages with the fields that a mask names.

    A path below a field shows the whole field.

    Args:
        message_type: Of the messages, of which there may be none.
        messages: Whole ones.
        read_mask: In camelCase or snake_case; "" and "*" show everything.

    Raises:
        InvalidArgumentError: The mask names a field that is not there.
    """
    paths = codec.parse_field_mask(read_mask)
    if not paths or "*" in paths:
        return tuple(messages)
    wanted = {path.partition(".")[0] for path in paths}
    # By protobuf's name: an attribute that is a word of Python ends in "_".
    fields = {name.rstrip("_"): name for name in message_type.model_fields}
    unknown = sorted(wanted - fields.keys())
    if unknown:
        raise InvalidArgumentError(
            f"read_mask names {unknown[0]!r}: the fields are {', '.join(fields)}"
        )
    hidden = {
        attribute: message_type.model_fields[attribute].default
        for name, attribute in fields.items()
        if name not in wanted
    }
    return tuple(message.model_copy(update=hidden) for message in messages)
