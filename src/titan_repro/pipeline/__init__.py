"""Executors: how the stages of a round are run."""
