"""The group of commands, loaded one by one as they are asked for."""

import importlib
from typing import Any, Final

import click

import homeport
from homeport.errors import HomeportError

# Command -> the module that holds a click command of that name: `homeport pack` must
# not pay for importing the server.
_MODULES: Final = {
    "serve": "homeport.cli.serve",
    "deploy": "homeport.cli.deploy",
    "predict": "homeport.cli.predict",
    "traffic": "homeport.cli.traffic",
    "undeploy": "homeport.cli.undeploy",
    "models": "homeport.cli.models",
    "endpoints": "homeport.cli.endpoints",
    "logs": "homeport.cli.logs",
    "pack": "homeport.cli.pack",
    "inspect": "homeport.cli.inspect",
    "check": "homeport.cli.check",
    "tls": "homeport.cli.tls",
    "keys": "homeport.cli.keys",
    "gc": "homeport.cli.upkeep",
    "verify": "homeport.cli.upkeep",
    "backup": "homeport.cli.backups",
    "restore": "homeport.cli.backups",
    "db": "homeport.cli.db",
}
_EPILOG: Final = """\b
A served model in two commands:
  homeport serve
  homeport deploy model.mar
"""


class _Commands(click.Group):
    """Imports a command when it is named; shows our failures in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order a newcomer needs them."""
        del ctx
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, None for an unknown name."""
        del ctx
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(
            importlib.import_module(_MODULES[cmd_name]), cmd_name
        )
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        """Run a command; a `HomeportError` becomes one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except HomeportError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=_Commands, epilog=_EPILOG)
@click.version_option(homeport.__version__, package_name="homeport")
def main() -> None:
    """Homeport, the port of registry for your models.

    Package a model, register it as a version, deploy versions to endpoints and predict,
    on your own machine, through Vertex AI's API.
    """
