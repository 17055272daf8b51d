"""The history, read: what changed, and which version carried an alias when."""

import dataclasses
import datetime as dt

from homeport.errors import NotFoundError
from homeport.metadata import change_rows
from homeport.metadata.database import Database
from homeport.registry import journal
from homeport.registry.paging import Pager, PageRequest
from homeport.resources.change import AliasPoint, Change, ChangeKind
from homeport.resources.names import ModelName, Parent, check_alias


class History:
    """Answers what was.

    Args:
        database: Where it is written.
        pager: Cuts lists into pages.
    """

    def __init__(self, database: Database, pager: Pager) -> None:
        self._database = database
        self._pager = pager

    def list_changes(
        self, parent: Parent, resource: str, request: PageRequest
    ) -> tuple[list[Change], str]:
        """Return one page of changes, newest first, and the next token.

        What is gone keeps its history.

        Args:
            parent: Project and location.
            resource: `models/{id}` or `endpoints/{id}`, "" for all of the parent.
            request: Which page.

        Raises:
            InvalidArgumentError: A bad filter, page size or token.
        """
        query = dataclasses.replace(request.query, order_by="sequence desc")
        with self._database.snapshot() as transaction:
            return self._pager.page(
                dataclasses.replace(request, query=query),
                ("sequence",),
                lambda page: change_rows.list_page(transaction, parent, resource, page),
                change_rows.position,
            )

    def alias_at(
        self, model: ModelName, alias: str, time: dt.datetime | None = None
    ) -> AliasPoint:
        """Return which version of a model carried an alias.

        Args:
            model: Without version; it may be gone.
            alias: Which.
            time: When, aware; None for now, whatever the clock of the server says
                that wrote it.

        Raises:
            InvalidArgumentError: Not an alias.
            NotFoundError: It had not been given yet, or the history begins later.
        """
        check_alias(alias)
        subject = journal.of_model(model, ChangeKind.ALIAS, alias)
        with self._database.snapshot() as transaction:
            change = change_rows.last(transaction, subject, time)
        if change is None:
            at = f" at {time.isoformat()}" if time else ""
            raise NotFoundError(
                f"no version of {model} is known to have had the alias {alias!r}{at}: "
                "its history begins later, or nowhere: see it with `homeport models "
                f"history {model}`",
                resource=str(model),
            )
        return AliasPoint((change.after or {}).get("versionId", ""), change)
