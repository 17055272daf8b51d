"""Which data directory has the bytes that the rows name, as a row."""

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import data_directories


def get(transaction: Transaction) -> str:
    """Return the id of the data directory, "" for rows that belong to none yet."""
    return transaction.scalar(sa.select(data_directories.c.id)) or ""


def put(transaction: Transaction, data_directory: str) -> None:
    """Write the id of the data directory, once."""
    transaction.execute(data_directories.insert().values(id=data_directory))
