"""The verbs on stored models: upload, catalog, artifacts, buckets, operations."""
