"""A verdict on each of the paper's claims."""
