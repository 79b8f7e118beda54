"""Gains over random selection at equal rounds and at equal time, from the runs below RUNS.

python scripts/equal_time.py RUNS [--figure results/equal_time.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "equal_time", *sys.argv[1:]])
