"""One module for each way a model is saved: how it is known, and what it needs."""
