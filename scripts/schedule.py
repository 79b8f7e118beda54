"""Random selection under two learning rates beside the paper's curves, from the runs below RUNS.

python scripts/schedule.py RUNS [--figure results/schedule.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "schedule", *sys.argv[1:]])
