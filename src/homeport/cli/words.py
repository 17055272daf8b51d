"""Words of a command that may not be empty."""

import click


def not_empty(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Return a word that is left out or says something; a click callback."""
    del ctx
    if value is not None and not value.strip():
        raise click.BadParameter(
            "it is empty: give one, or leave the option out", param=parameter
        )
    return value
