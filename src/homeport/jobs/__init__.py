"""Jobs: long work over many predictions."""
