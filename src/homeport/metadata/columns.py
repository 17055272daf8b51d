"""What all tables are made with: their times, and how their constraints are named."""

import datetime as dt
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def microseconds(moment: dt.datetime) -> int:
    """Return how a time is stored."""
    return (moment - _EPOCH) // _MICROSECOND


class UtcTime(sa.TypeDecorator[dt.datetime]):
    """An aware UTC datetime kept as microseconds since 1970."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(
        self, value: dt.datetime | None, dialect: sa.Dialect
    ) -> int | None:
        """Return the stored integer."""
        del dialect
        return None if value is None else microseconds(value)

    def result_processor(
        self, dialect: sa.Dialect, coltype: object
    ) -> Callable[[int | None], dt.datetime | None]:
        """Return what makes the aware datetime of a stored integer."""
        del dialect, coltype
        return _moment


def _moment(value: int | None) -> dt.datetime | None:
    return None if value is None else _EPOCH + value * _MICROSECOND


metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
