"""Alembic migrations; each goes forward only."""
