"""How an endpoint's traffic is shared anew: whole percents that sum to 100."""

from collections.abc import Collection
from typing import Final

from homeport.client.registry import Deployed, Endpoint
from homeport.errors import InvalidArgumentError, NotFoundError

# What a deployment calls the model that it is about to deploy.
_NEW: Final = "0"
_ALL: Final = 100


def with_new(endpoint: Endpoint, percent: int) -> dict[str, int]:
    """Return a split that gives `percent` to the new one, the rest as it was shared.

    Where nothing has traffic yet, the new one gets all of it.
    """
    serving = {one.id: one.percent for one in endpoint.deployed if one.percent}
    if not serving:
        return {_NEW: 100}
    return {_NEW: percent, **_shared(serving, 100 - percent)}


def without(endpoint: Endpoint, leaving: Deployed) -> dict[str, int]:
    """Return a split that gives a deployed model's share to the others, as they share.

    Returns:
        Empty if there is nothing to share anew.

    Raises:
        InvalidArgumentError: None of the others has traffic: somebody must choose.
    """
    others = {one.id: one.percent for one in endpoint.deployed if one.id != leaving.id}
    if not others or not leaving.percent:
        return {}
    serving = {id_: percent for id_, percent in others.items() if percent}
    if not serving and len(others) > 1:
        raise InvalidArgumentError(
            f"deployed model {leaving.id} has all the traffic and "
            f"{' and '.join(others)} have none: give it to one of them first, as with "
            f"`homeport traffic {endpoint.id} {next(iter(others))}=100`"
        )
    # One that is left alone gets everything, also if it had nothing.
    return _shared(serving or dict.fromkeys(others, 100), 100)


def of_shares(endpoint: Endpoint, shares: tuple[str, ...]) -> dict[str, int]:
    """Return the split that `DEPLOYED_MODEL=PERCENT` arguments mean.

    Those that are not named get nothing.

    Raises:
        InvalidArgumentError: A share is not written so, or is named twice.
        NotFoundError: The endpoint has no such deployed model.
    """
    split = {one.id: 0 for one in endpoint.deployed}
    named: set[str] = set()
    for share in shares:
        wanted, _, percent = share.rpartition("=")
        if not wanted or not percent.isdecimal():
            raise InvalidArgumentError(
                f"{share!r} is not DEPLOYED_MODEL=PERCENT, such as v2=100"
            )
        deployed = find_deployed(endpoint, wanted)
        if deployed.id in named:
            raise InvalidArgumentError(f"deployed model {deployed.id} is named twice")
        named.add(deployed.id)
        split[deployed.id] = int(percent)
    if sum(split.values()) != _ALL:
        raise InvalidArgumentError(
            f"the shares add up to {sum(split.values())}: they must add up to 100"
            + _with_the_rest(endpoint, shares, named, _ALL - sum(split.values()))
        )
    return split


def with_share(endpoint: Endpoint, share: str) -> dict[str, int]:
    """Return the split in which one has `DEPLOYED_MODEL=PERCENT`, the rest as before.

    Who had nothing gets nothing.

    Raises:
        InvalidArgumentError: It is not written so, or the rest would be nobody's.
        NotFoundError: The endpoint has no such deployed model.
    """
    wanted, _, text = share.rpartition("=")
    if not wanted or not text.isascii() or not text.isdecimal() or int(text) > _ALL:
        raise InvalidArgumentError(
            f"{share!r} is not DEPLOYED_MODEL=PERCENT, such as v2=20"
        )
    chosen, percent = find_deployed(endpoint, wanted), int(text)
    serving = {
        one.id: one.percent
        for one in endpoint.deployed
        if one.percent and one.id != chosen.id
    }
    if not serving and percent < _ALL:
        raise InvalidArgumentError(
            f"{share!r}: no other has traffic that could take the rest: share it with "
            "`homeport traffic`"
        )
    others = dict.fromkeys((one.id for one in endpoint.deployed), 0)
    return {**others, **_shared(serving, _ALL - percent), chosen.id: percent}


def find_deployed(endpoint: Endpoint, wanted: str) -> Deployed:
    """Return the deployed model with this id, or of this version: `v2` or `2`.

    Raises:
        NotFoundError: The endpoint has none.
        InvalidArgumentError: Several are of this version.
    """
    for one in endpoint.deployed:
        if one.id == wanted:
            return one
    version = wanted.removeprefix("v")
    found = [one for one in endpoint.deployed if one.version == version]
    if not found:
        raise NotFoundError(
            f"endpoint {endpoint.display_name} has no deployed model {wanted!r}: it "
            f"has {told(endpoint) or 'none'}"
        )
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise InvalidArgumentError(
            f"{len(found)} deployed models are of version {version}: name one by its "
            f"id, {ids}"
        )
    return found[0]


def told(endpoint: Endpoint) -> str:
    """Return the ids and versions of what is deployed, for people, "" for nothing."""
    return ", ".join(f"{one.id} (v{one.version})" for one in endpoint.deployed)


def called(one: Deployed, deployed: Collection[Deployed]) -> str:
    """Return what names one of these deployed models: v2, its id if several are v2."""
    others = [other for other in deployed if other.id != one.id]
    if any(one.version == other.version for other in others):
        return one.id
    return f"v{one.version}"


def _with_the_rest(
    endpoint: Endpoint, shares: tuple[str, ...], named: set[str], rest: int
) -> str:
    """Return how shares add up to 100 with the only one that is not named, or ""."""
    unnamed = [one for one in endpoint.deployed if one.id not in named]
    if len(unnamed) != 1 or rest < 0:
        return ""
    left = f"{called(unnamed[0], endpoint.deployed)}={rest}"
    return f", as with {' '.join((left, *shares))}"


def _shared(serving: dict[str, int], percent: int) -> dict[str, int]:
    """Share in these proportions; what rounding leaves goes to the largest."""
    if not serving:
        return {}
    total = sum(serving.values())
    split = {id_: share * percent // total for id_, share in serving.items()}
    largest = max(serving, key=lambda id_: serving[id_])
    split[largest] += percent - sum(split.values())
    return split
