"""Reference reproduction of Titan (KDD '25) and a harness for data selection on streams."""

__version__ = "0.1.0"
