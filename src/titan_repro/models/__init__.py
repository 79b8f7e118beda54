"""One module a model; all expose blocks, an embedding and a last linear layer."""
