"""Rows: what the server remembers, in SQLite or another SQL database.

`database` opens it and brings its shape up to date, `tables` declares that shape,
and the `*_rows` modules turn rows into the values of `resources` and back. Nothing
above this room sees SQL.
"""
