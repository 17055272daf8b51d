"""The server's history, as the command line reads it."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from homeport.client.connection import Connection
from homeport.client.tables import Row


@dataclasses.dataclass(frozen=True, slots=True)
class Change(Row):
    """One thing that was changed, once.

    Attributes:
        time: RFC 3339.
        caller: Who asked for it, by their own account.
        resource: Full name.
        kind: What of it: model, version, alias ...
        key: Which one, "" for the resource itself.
        action: created, updated, deleted or found.
        before: How it stood, empty if it was not there.
        after: How it stands since, empty if it is gone.
    """

    time: str
    caller: str
    resource: str
    kind: str
    key: str
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "time": self.time,
            "by": self.caller,
            "what": f"{self.kind} {self.key}".strip(),
            "action": self.action,
            "before": self.before,
            "after": self.after,
        }


def changes(
    connection: Connection, resource: str, filter_text: str = ""
) -> Iterator[Change]:
    """Yield the changes of a model or endpoint by full name, newest first."""
    token = ""
    while True:
        page = connection.get(
            f"/homeport/v1/{resource}/history", filter=filter_text, pageToken=token
        )
        yield from map(_change, page["changes"])
        token = page.get("nextPageToken", "")
        if not token:
            return


def alias_at(
    connection: Connection, model: str, alias: str, time: str = ""
) -> tuple[str, Change]:
    """Return the id of the version that carried an alias, "" for none, and since when.

    Args:
        connection: The server.
        model: Full name, without version.
        alias: Which.
        time: When, RFC 3339; "" for now.
    """
    at = {"at": time} if time else {}
    found = connection.get(f"/homeport/v1/{model}/aliases/{alias}", **at)
    return found.get("versionId", ""), _change(found["change"])


def _change(found: Mapping[str, Any]) -> Change:
    return Change(
        time=found["time"],
        caller=found["caller"],
        resource=found["resource"],
        kind=found["kind"],
        key=found.get("key", ""),
        action=found["action"],
        before=found.get("before", {}),
        after=found.get("after", {}),
    )
