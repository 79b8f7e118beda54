"""Pure functions from run folders to numbers: no ink, no strings."""
