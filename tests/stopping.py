"""A callback for tests of runs that are stopped on the way."""

import signal


class StopAfter:
    """A callback that asks to stop after a number of rounds in all."""

    def __init__(self, rounds):
        self.rounds = rounds

    def begin(self, folder, start, rounds):
        pass

    def round(self, record):
        if record.round + 1 == self.rounds:
            signal.raise_signal(signal.SIGINT)

    def evaluation(self, rounds_done, evaluation):
        pass

    def end(self):
        pass
