"""Bytes at rest: blobs under the digest of what they hold, and nothing about names."""
