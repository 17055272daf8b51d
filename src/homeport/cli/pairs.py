"""KEY=VALUE arguments."""

import click


def parse(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE arguments as a dict; a click callback."""
    del ctx
    split = [value.partition("=") for value in values]
    for key, separator, value in split:
        if not separator or not key:
            raise click.BadParameter(
                f"{key or value!r} is not KEY=VALUE", param=parameter
            )
    return {key: value for key, _, value in split}
