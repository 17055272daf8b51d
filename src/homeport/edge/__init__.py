"""What all surfaces share: the proto-JSON codec, status, and who may ask."""
