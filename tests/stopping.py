"""Callbacks for tests of runs that end on the way."""

import signal


class After:
    """A callback that does something after a number of rounds in all."""

    def __init__(self, rounds, action):
        self.rounds = rounds
        self.action = action

    def begin(self, folder, start, rounds):
        pass

    def round(self, record):
        if record.round + 1 == self.rounds:
            self.action()

    def evaluation(self, rounds_done, evaluation):
        pass

    def end(self):
        pass


class StopAfter(After):
    """A callback that asks to stop after a number of rounds in all."""

    def __init__(self, rounds):
        super().__init__(rounds, lambda: signal.raise_signal(signal.SIGINT))


def crash():
    raise ZeroDivisionError
