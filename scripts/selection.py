"""What the selectors chose, of the runs below RUNS.

python scripts/selection.py RUNS [--figure results/selection.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "selection", *sys.argv[1:]])
