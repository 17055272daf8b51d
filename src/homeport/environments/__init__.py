"""Locks, and the Python environments that are built from them with uv."""
