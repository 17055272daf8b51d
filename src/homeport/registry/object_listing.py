"""One page of a bucket's names, with what lies behind a delimiter folded."""

import dataclasses
from typing import Final

from homeport.metadata import bucket_rows, prefixes
from homeport.metadata.database import Transaction
from homeport.resources.bucket import ObjectPage, ObjectQuery, StoredObject

_MIN_ROWS: Final = 16
_MAX_ROWS: Final = 1000


@dataclasses.dataclass(slots=True)
class _Gathering:
    objects: list[StoredObject] = dataclasses.field(default_factory=list)
    prefixes: list[str] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


def page(transaction: Transaction, query: ObjectQuery, limit: int) -> ObjectPage:
    """Return up to `limit` objects and common prefixes, together at least one.

    Names are read in order; after a common prefix the next query starts behind all
    names that share it, so a folder of a million objects costs one query.

    Args:
        transaction: Where to read.
        query: Which objects.
        limit: At least 1.
    """
    found = _Gathering()
    start: str | None = query.start
    while start is not None:
        rows_wanted = min(max(limit - len(found) + 1, _MIN_ROWS), _MAX_ROWS)
        rows = bucket_rows.list_objects(
            transaction,
            query.bucket,
            prefix=query.prefix,
            start=start,
            end=query.end,
            limit=rows_wanted,
        )
        for stored in rows:
            if start is None or stored.name < start:
                continue
            if len(found) >= limit:
                return ObjectPage(
                    tuple(found.objects), tuple(found.prefixes), stored.name
                )
            start = _gather(found, stored, query)
        if len(rows) < rows_wanted:
            break
    return ObjectPage(tuple(found.objects), tuple(found.prefixes), "")


def _gather(found: _Gathering, stored: StoredObject, query: ObjectQuery) -> str | None:
    """Note an object or the prefix it folds into; return the next name of interest."""
    folded = _common_prefix(stored.name, query)
    if not folded:
        found.objects.append(stored)
        return f"{stored.name}\0"
    found.prefixes.append(folded)
    if query.with_trailing_delimiter and stored.name == folded:
        found.objects.append(stored)
    return prefixes.after_prefix(folded) or None


def _common_prefix(name: str, query: ObjectQuery) -> str:
    if not query.delimiter:
        return ""
    end = name.find(query.delimiter, len(query.prefix))
    return "" if end < 0 else name[: end + len(query.delimiter)]
