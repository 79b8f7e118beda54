"""A policy for runs in which a client is killed in the middle of a round."""

import os
import time
from pathlib import Path

from titan_repro.selection.uniform import UniformSampling

HELD = "TITAN_TEST_HELD"
"""The environment variable that names the file of the process that is held."""


class HoldingPolicy(UniformSampling):
    """The first process that is to choose a batch writes down who it is, and chooses no more."""

    def select(self, candidates, batch_size, generator):
        held = Path(os.environ[HELD])
        try:
            with held.open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            return super().select(candidates, batch_size, generator)
        time.sleep(600)
        raise AssertionError("nobody killed this process")
