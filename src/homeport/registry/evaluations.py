"""Evaluations: what others measured of a version, kept beside it."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.metadata import evaluation_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry.catalog import resolve
from homeport.registry.journal import Journal, of_model
from homeport.registry.paging import Pager, PageRequest
from homeport.resources.change import ANONYMOUS, ChangeKind, Subject
from homeport.resources.evaluation import (
    MAX_SLICES,
    Evaluation,
    EvaluationName,
    EvaluationSlice,
    Measured,
    SliceName,
)
from homeport.resources.model import MAX_DISPLAY_NAME
from homeport.resources.names import ModelName

_ORDER: Final = ("create_time",)


class Evaluations:
    """The evaluations of all versions.

    Args:
        database: Where they are written.
        pager: Cuts lists into pages.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        pager: Pager,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._pager = pager
        self._now = now
        self._new_id = new_id

    def add(
        self, model: ModelName, measured: Measured, *, caller: str = ANONYMOUS
    ) -> Evaluation:
        """Keep an evaluation of a version; without one, of the default version.

        Raises:
            NotFoundError: No such version.
            InvalidArgumentError: The display name is too long.
        """
        if len(measured.display_name) > MAX_DISPLAY_NAME:
            raise InvalidArgumentError(
                f"display_name has {len(measured.display_name)} characters: "
                f"at most {MAX_DISPLAY_NAME}"
            )
        name = EvaluationName(model.unversioned, self._new_id())
        with self._database.transaction() as transaction:
            version = resolve(transaction, model).name
            evaluation = Evaluation(name, version, measured, self._now())
            evaluation_rows.insert(transaction, evaluation)
            journal = Journal(transaction, caller, evaluation.create_time)
            journal.note(_subject(name), None, _told(evaluation))
        return evaluation

    def get(self, name: EvaluationName) -> Evaluation:
        """Return an evaluation.

        Raises:
            NotFoundError: No such evaluation.
        """
        with self._database.snapshot() as transaction:
            return _require(transaction, name)

    def list_evaluations(
        self, model: ModelName, request: PageRequest
    ) -> tuple[list[Evaluation], str]:
        """Return one page of a version's evaluations, oldest first, and the next token.

        Raises:
            NotFoundError: No such version.
            InvalidArgumentError: A bad filter, page size or token.
        """
        with self._database.snapshot() as transaction:
            version = resolve(transaction, model).name
            return self._pager.page(
                _oldest_first(request),
                _ORDER,
                lambda page: evaluation_rows.list_page(transaction, version, page),
                evaluation_rows.position,
            )

    def add_slices(
        self,
        name: EvaluationName,
        measured: Sequence[Measured],
        *,
        caller: str = ANONYMOUS,
    ) -> list[EvaluationSlice]:
        """Keep slices of an evaluation, all of them or none.

        Raises:
            NotFoundError: No such evaluation.
            InvalidArgumentError: None at all, or more than one request may have.
        """
        if not 1 <= len(measured) <= MAX_SLICES:
            raise InvalidArgumentError(
                f"model_evaluation_slices has {len(measured)}: "
                f"1 to {MAX_SLICES} are imported at a time"
            )
        now = self._now()
        slices = [
            EvaluationSlice(SliceName(name, self._new_id()), one, now)
            for one in measured
        ]
        with self._database.transaction() as transaction:
            told = _told(_require(transaction, name))
            before = evaluation_rows.count_slices(transaction, name)
            for one in slices:
                evaluation_rows.insert_slice(transaction, one)
            Journal(transaction, caller, now).note(
                _subject(name),
                {**told, "sliceCount": before},
                {**told, "sliceCount": before + len(slices)},
            )
        return slices

    def get_slice(self, name: SliceName) -> EvaluationSlice:
        """Return a slice of an evaluation.

        Raises:
            NotFoundError: No such slice.
        """
        with self._database.snapshot() as transaction:
            found = evaluation_rows.get_slice(transaction, name)
        if found is None:
            raise NotFoundError(f"slice {name} was not found", resource=str(name))
        return found

    def list_slices(
        self, name: EvaluationName, request: PageRequest
    ) -> tuple[list[EvaluationSlice], str]:
        """Return one page of an evaluation's slices, oldest first, and the next token.

        Raises:
            NotFoundError: No such evaluation.
            InvalidArgumentError: A bad filter, page size or token.
        """
        with self._database.snapshot() as transaction:
            _require(transaction, name)
            return self._pager.page(
                _oldest_first(request),
                _ORDER,
                lambda page: evaluation_rows.list_slices(transaction, name, page),
                evaluation_rows.slice_position,
            )


def _subject(name: EvaluationName) -> Subject:
    return of_model(name.model, ChangeKind.EVALUATION, name.evaluation)


def _told(one: Evaluation) -> dict[str, Any]:
    return {
        "versionId": one.version.version,
        "displayName": one.measured.display_name,
    }


def _oldest_first(request: PageRequest) -> PageRequest:
    query = dataclasses.replace(request.query, order_by="create_time")
    return dataclasses.replace(request, query=query)


def _require(transaction: Transaction, name: EvaluationName) -> Evaluation:
    evaluation = evaluation_rows.get(transaction, name)
    if evaluation is None:
        raise NotFoundError(
            f"evaluation {name} was not found: see those of a version with `homeport "
            f"models evaluations list {name.model}@VERSION`",
            resource=str(name),
        )
    return evaluation
