"""How much batch variance there is to win, and what it is worth: experiment=why below RUNS.

python scripts/why.py RUNS [--figure results/why.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "why", *sys.argv[1:]])
