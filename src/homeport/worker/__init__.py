"""The process that holds one model, and the handle its parent keeps on it.

`replica` is the parent's half. Everything else runs in the child, inside the model's
own environment: there only the standard library, `errors`, `resources`, `archive` and
this room are certain; torch, numpy, orjson, simdjson and yaml are used where installed.
"""
