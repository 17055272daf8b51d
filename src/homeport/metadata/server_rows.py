"""The servers that use one database, each alive until its lease ends, as rows.

An embedded database has one server and no rows of this kind. Leases are in the time of
the database's own clock, which is the same for all.
"""

import datetime as dt

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import servers, shared_secrets


def renew(transaction: Transaction, server: str, lease: dt.timedelta) -> None:
    """Write that a server is alive for so long from now."""
    until = _now(transaction) + lease
    changed = transaction.execute(
        servers.update().where(servers.c.id == server).values(lease_until=until)
    )
    if not changed.rowcount:
        transaction.execute(servers.insert().values(id=server, lease_until=until))


def end(transaction: Transaction, server: str) -> None:
    """Write that a server is not alive any more."""
    transaction.execute(servers.delete().where(servers.c.id == server))


def alive(transaction: Transaction) -> frozenset[str]:
    """Return the ids of the servers whose lease has not run out.

    Rows of before there were several have none.
    """
    if not sa.inspect(transaction).has_table(servers.name):
        return frozenset()
    rows = transaction.execute(sa.select(servers)).all()
    if not rows:
        return frozenset()
    now = _now(transaction)
    return frozenset(row.id for row in rows if row.lease_until > now)


def share_secret(transaction: Transaction, name: str, value: str) -> str:
    """Return the secret of this name; the value given becomes it if there is none."""
    known = transaction.scalar(
        sa.select(shared_secrets.c.value).where(shared_secrets.c.name == name)
    )
    if known is not None:
        return str(known)
    transaction.execute(shared_secrets.insert().values(name=name, value=value))
    return value


def secret(transaction: Transaction, name: str) -> str:
    """Return the secret of this name, "" if there is none."""
    if not sa.inspect(transaction).has_table(shared_secrets.name):
        return ""
    query = sa.select(shared_secrets.c.value).where(shared_secrets.c.name == name)
    return transaction.scalar(query) or ""


def _now(transaction: Transaction) -> dt.datetime:
    if transaction.dialect.name == "postgresql":
        # Not that of the transaction's begin.
        moment = transaction.scalar(sa.select(sa.func.clock_timestamp()))
        if isinstance(moment, dt.datetime):
            return moment.astimezone(dt.UTC)
    return dt.datetime.now(dt.UTC)
