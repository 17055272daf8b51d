"""Homeport, the port of registry for your models.

Nothing is imported here: `import homeport` is fast and pulls in no framework.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
