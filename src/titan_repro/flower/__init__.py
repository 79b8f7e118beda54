"""A federation whose devices are clients of Flower: the same rounds, over a network."""
