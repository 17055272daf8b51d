"""The API's nouns: frozen values, standard library only, no I/O."""
