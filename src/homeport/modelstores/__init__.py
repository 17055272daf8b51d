"""TorchServe's model stores: what lies in them, and the way of it into a registry."""
