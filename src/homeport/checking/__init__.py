"""Proving an archive before it is registered: the same worker, the same environment."""
