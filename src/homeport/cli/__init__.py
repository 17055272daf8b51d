"""The `homeport` command."""

from homeport.cli.commands import main

__all__ = ["main"]
