"""What runs: endpoints and their wishes, and the replicas that make them true."""
