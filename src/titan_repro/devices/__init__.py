"""Device profiles: where tensors live."""
