"""Figure 1: accuracy and time by data utilisation, of the runs below RUNS.

python scripts/fig1.py RUNS [--figure results/fig1.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig1", *sys.argv[1:]])
