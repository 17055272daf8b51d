"""Where a version goes: to a new model, to one that is named, or by a display name."""

import dataclasses
from typing import Final

from homeport.errors import (
    AlreadyExistsError,
    Code,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import model_rows
from homeport.metadata.database import Transaction
from homeport.resources.names import ModelName, Parent
from homeport.resources.operation import Failure

_MOST_NAMED: Final = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes.

    Attributes:
        parent: Project and location.
        parent_model: The model to add a version to, None for a new model.
        model_id: The new model's chosen id, "" to have one made.
        upsert: Whether the model that has the display name gets a version, where there
            is one; Vertex AI has no such thing.
    """

    parent: Parent
    parent_model: ModelName | None = None
    model_id: str = ""
    upsert: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """Where a version goes, decided in the transaction that writes it.

    Attributes:
        target: Without an upsert: that is a model now, or a new one.
        model: The model it means.
        told: What the one who asked may not have meant.
        found: Whether an upsert found its model.
    """

    target: Target
    model: ModelName
    told: tuple[Failure, ...] = ()
    found: bool = False


def check_target(transaction: Transaction, target: Target, name: ModelName) -> None:
    """Refuse a target that is not there, or is taken.

    Args:
        transaction: The one that writes, or an earlier one.
        target: Where a version shall go.
        name: The model that means.

    Raises:
        InvalidArgumentError: `parent_model` names a version, or an upsert has one.
        FailedPreconditionError: `parent_model` and `model_id` at once.
        NotFoundError: The parent model is not there.
        AlreadyExistsError: The new model's id is taken.
    """
    if target.upsert and (target.parent_model is not None or target.model_id):
        raise InvalidArgumentError(
            "an upsert finds its model by the display name: leave out parent_model and "
            "model_id, or upsert"
        )
    exists = model_rows.model_exists(transaction, name)
    if target.parent_model is not None and name.version:
        raise InvalidArgumentError(
            f"parent_model {name}: name the model, without a version"
        )
    if target.parent_model is not None and target.model_id:
        raise FailedPreconditionError(
            "model_id and parent_model were both given: a version of a model has no id "
            "of its own to choose"
        )
    if target.parent_model is not None and not exists:
        raise NotFoundError(
            f"parent_model {name} was not found: leave it out to make a new model",
            resource=str(name),
        )
    if target.parent_model is None and exists:
        raise AlreadyExistsError(
            f"model {name} already exists: name it as parent_model to add a version",
            resource=str(name),
        )


def settle(
    transaction: Transaction, target: Target, display_name: str, new: ModelName
) -> Settled:
    """Return where a version goes, now that nothing else can be written.

    Args:
        transaction: The one that writes the version.
        target: Where it shall go.
        display_name: Its model's.
        new: The model it means unless an upsert finds another.
    """
    if target.parent_model is not None:
        return Settled(target, new)
    named = model_rows.named(transaction, target.parent, display_name, _MOST_NAMED)
    if not named:
        return Settled(dataclasses.replace(target, upsert=False), new)
    ids = ", ".join(named)
    if not target.upsert:
        told = (
            f"display_name {display_name!r} is also that of {ids}: this is a model of "
            "its own, as in Vertex AI; name a parentModel, or send upsert=true, to add "
            "a version"
        )
        return Settled(target, new, (Failure(Code.ALREADY_EXISTS, told),))
    found = ModelName(target.parent, named[0])
    told = (
        f"display_name {display_name!r} is that of {ids}: the version was added to the "
        "oldest of them, name a parentModel to choose"
    )
    failures = (Failure(Code.ALREADY_EXISTS, told),) if len(named) > 1 else ()
    return Settled(Target(target.parent, found), found, failures, found=True)
