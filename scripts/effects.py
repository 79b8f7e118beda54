"""What each key is worth: gains over the default Titan, of the runs below RUNS.

python scripts/effects.py RUNS [--figure results/effects.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "effects", *sys.argv[1:]])
