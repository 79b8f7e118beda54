"""Command lines that are refused in one line."""

import argparse
import sys
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """A parser, of commands below it too, that says what is wrong and leaves usage to --help."""

    def error(self, message: str) -> NoReturn:
        """Say what was found and what is allowed; exit status 2."""
        program = self.prog.split()[0]
        print(f"{program}: {message}; {self.prog} --help says what is allowed", file=sys.stderr)
        sys.exit(2)
