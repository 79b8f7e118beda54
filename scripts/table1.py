"""Table 1 from all runs below RUNS, the paper's numbers beside ours.

python scripts/table1.py RUNS [--rounds N] [--clock CLOCK] [--format FORMAT]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["table1", *sys.argv[1:]])
