"""One `.mar` file: its manifest, its members, and how they are taken out safely."""
