"""What each selector gains over random and over stratified batches, from all runs below RUNS.

python scripts/gain.py RUNS [--figure results/gain.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "gain", *sys.argv[1:]])
