"""The REST surface: translation only, every rule lives below."""
