"""Facts about the paper: its printed numbers, and what its published figures show."""
