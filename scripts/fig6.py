"""Figure 6: costs of selection, of every measurement of experiment=fig6 below RUNS.

python scripts/fig6.py RUNS [--figure results/fig6.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig6", *sys.argv[1:]])
