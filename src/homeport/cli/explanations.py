"""The options by which gcloud says how a model is to be explained."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from homeport.cli import values

_F = TypeVar("_F", bound=Callable[..., Any])
_METHODS: Final = ("integrated-gradients", "xrai", "sampled-shapley")
_PARAMETERS: Final = {
    "integrated-gradients": "integratedGradientsAttribution",
    "xrai": "xraiAttribution",
    "sampled-shapley": "sampledShapleyAttribution",
}
_COUNT: Final = click.IntRange(min=1)


def spec_options(command: _F) -> _F:
    """Add them; the server keeps what they say, and handlers explain."""
    for option in (
        click.option("--explanation-method", type=click.Choice(_METHODS)),
        click.option("--explanation-metadata-file", metavar="FILE", help="JSON."),
        click.option("--explanation-path-count", type=_COUNT),
        click.option("--explanation-step-count", type=_COUNT),
        click.option("--smooth-grad-noise-sigma", type=float),
        click.option(
            "--smooth-grad-noise-sigma-by-feature",
            multiple=True,
            callback=values.pairs,
            metavar="FEATURE=SIGMA,...",
        ),
        click.option("--smooth-grad-noisy-sample-count", type=_COUNT),
    ):
        command = option(command)
    return command


def spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the explanationSpec that a command's values mean, {} for none.

    Raises:
        UsageError: They contradict each other.
        InvalidArgumentError: The metadata cannot be read.
    """
    method = given["explanation_method"]
    said = [
        name
        for name in given
        if name.startswith(("explanation_", "smooth_grad_")) and given[name]
    ]
    if not method:
        if said:
            option = "--" + said[0].replace("_", "-")
            raise click.UsageError(f"{option} is nothing without --explanation-method")
        return {}
    found: dict[str, Any] = {"parameters": {_PARAMETERS[method]: _of(method, given)}}
    name = given["explanation_metadata_file"]
    if name:
        option = "--explanation-metadata-file"
        found["metadata"] = values.document(values.read(name, option), option)
    return found


def _of(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    paths, steps = given["explanation_path_count"], given["explanation_step_count"]
    if method == "sampled-shapley":
        if not paths or steps:
            raise click.UsageError(
                "sampled-shapley takes --explanation-path-count, and no step count"
            )
        if _smooth_grad(given):
            raise click.UsageError("sampled-shapley takes none of --smooth-grad-...")
        return {"pathCount": paths}
    if not steps or paths:
        raise click.UsageError(
            f"{method} takes --explanation-step-count, and no path count"
        )
    smooth = _smooth_grad(given)
    config = {"smoothGradConfig": smooth} if smooth else {}
    return {"stepCount": steps, **config}


def _smooth_grad(given: Mapping[str, Any]) -> dict[str, Any]:
    sigma = given["smooth_grad_noise_sigma"]
    by_feature = given["smooth_grad_noise_sigma_by_feature"]
    count = given["smooth_grad_noisy_sample_count"]
    if sigma is not None and by_feature:
        raise click.UsageError(
            "give either --smooth-grad-noise-sigma or "
            "--smooth-grad-noise-sigma-by-feature"
        )
    found: dict[str, Any] = {}
    if sigma is not None:
        found["noiseSigma"] = sigma
    if by_feature:
        sigmas = [{"name": key, "sigma": by_feature[key]} for key in by_feature]
        found["featureNoiseSigma"] = {"noiseSigma": sigmas}
    if count:
        found["noisySampleCount"] = count
    return found
