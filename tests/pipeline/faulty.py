"""Filters and policies that go wrong at a round of their choice, and one that is slow."""

import os
import time

from titan_repro.errors import ConfigurationError
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter


def go_wrong(fault):
    match fault:
        case "raise":
            raise RuntimeError("this was\nto be expected")
        case "refuse":
            raise ConfigurationError("some.key: found 1; allowed: 2")
        case "exit":
            os._exit(5)
        case "hang":
            while True:
                time.sleep(0.01)


class FaultyFilter(CoarseFilter):
    def __init__(self, *arguments, fault, at, **keywords):
        super().__init__(*arguments, **keywords)
        self.fault, self.left = fault, at

    def admit(self, *arguments):
        if self.left == 0:
            go_wrong(self.fault)
        self.left -= 1
        return super().admit(*arguments)


class FaultyPolicy(ClassifiedImportanceSampling):
    def __init__(self, *, fault, at, **keywords):
        super().__init__(**keywords)
        self.fault, self.left = fault, at

    def select(self, *arguments):
        if self.left == 0:
            go_wrong(self.fault)
        self.left -= 1
        return super().select(*arguments)


class SlowPolicy(ClassifiedImportanceSampling):
    def __init__(self, *, seconds, **keywords):
        super().__init__(**keywords)
        self.seconds = seconds

    def select(self, *arguments):
        time.sleep(self.seconds)
        return super().select(*arguments)
