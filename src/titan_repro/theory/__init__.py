"""The paper's statements, each checked by enumeration or by an optimiser: one file a statement.

A module holds the statement as plain functions on small arrays, and `check()`, which returns its
rows of the theory table. Gradients are given directly, (N, d) float64: nothing here knows of
networks.
"""
