"""Versions out of this registry, into Vertex AI's: what goes along, and how."""
