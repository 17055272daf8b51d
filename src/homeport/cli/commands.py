"""The group of commands, loaded one by one as they are asked for."""

import difflib
import importlib
import keyword
import sys
from typing import Any, Final

import click

import homeport
from homeport.cli import exitcodes, signals
from homeport.errors import HomeportError

# Command -> the module that holds a click command of that name, with a "_" behind it
# where Python has the name for itself, and its line in the list of commands: neither
# `homeport --help` nor `homeport pack` imports the server.
_COMMANDS: Final = {
    "serve": ("serve", "Start the server."),
    "deploy": ("deploy", "From an archive or a model to an endpoint that answers."),
    "predict": ("predict", "Send instances to an endpoint."),
    "traffic": ("traffic", "Share the traffic of an endpoint anew."),
    "undeploy": ("undeploy", "Take a version out of service."),
    "logs": ("logs", "Print the last log lines of an endpoint."),
    "models": ("models", "Register, see, change and delete models."),
    "endpoints": ("endpoints", "Make, see, change, ask and delete endpoints."),
    "batch": ("batch", "Predict files of instances."),
    "storage": ("storage", "Copy, list, show and remove objects in buckets."),
    "operations": ("operations", "See, wait for and cancel what takes its time."),
    "locations": ("locations", "List the regions in which a project has something."),
    "publish": ("publish", "Copy a version into Vertex AI's Model Registry."),
    "import": ("importing", "Register what lies in a TorchServe model store."),
    "pack": ("pack", "Make an archive of model files."),
    "inspect": ("inspect", "Show what an archive holds, running nothing."),
    "check": ("check", "Prove an archive before it is uploaded."),
    "doctor": ("doctor", "Look at this machine, and say what to fix."),
    "env": ("env", "Print the exports by which other programs find the server."),
    "tls": ("tls", "Make the certificates for HTTPS."),
    "keys": ("keys", "Make the keys by which programs say who they are."),
    "environments": ("environments", "See and remove what was built for versions."),
    "gc": ("upkeep", "Remove the bytes that nothing needs."),
    "verify": ("upkeep", "Read every byte again, and compare its digest."),
    "backup": ("backups", "Copy a server's rows and bytes."),
    "restore": ("backups", "Make a data directory of a backup."),
    "db": ("db", "See and upgrade the database's shape."),
}
_EPILOG: Final = """\b
A served model in two commands:
  homeport serve
  homeport deploy model.mar
"""


class _Refused(click.ClickException):
    """The server or a file says no."""

    exit_code = exitcodes.REFUSED


class _NoAnswer(click.ClickException):
    """No server answers, or not in time."""

    exit_code = exitcodes.NO_ANSWER


class _Commands(click.Group):
    """Imports a command when it is named; shows our failures in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order a newcomer needs them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, None for an unknown name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        # httpx brings a command of its own, which draws: half of its import. Where it
        # cannot be had httpx does without.
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # so written
        module, _ = _COMMANDS[cmd_name]
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(
            importlib.import_module(f"homeport.cli.{module}"), name
        )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, its name, and the words behind it."""
        named = args[0]
        close = difflib.get_close_matches(named, _COMMANDS)
        if named not in _COMMANDS and close and not ctx.resilient_parsing:
            meant = ", ".join(repr(one) for one in close)
            ctx.fail(f"No such command {named!r}. Did you mean {meant}?")
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands, importing none."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a failure becomes one line and an exit code."""
        try:
            with signals.interruptible():
                return super().invoke(ctx)
        except HomeportError as error:
            failed = _NoAnswer if exitcodes.is_silence(error) else _Refused
            raise failed(error.message) from error
        except KeyboardInterrupt as interrupt:
            # Of a client's own words and ours, ours: they name commands.
            notes = interrupt.args or getattr(interrupt, "__notes__", ())
            for note in ("interrupted", *notes):
                click.echo(note, err=True)
            raise click.exceptions.Exit(exitcodes.INTERRUPTED) from interrupt


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(homeport.__version__, package_name="homeport")
def main() -> None:
    """Homeport, the port of registry for your models.

    Package a model, register it as a version, deploy versions to endpoints and predict,
    on your own machine, through Vertex AI's API.
    """
