"""Table 1 from runs written down by hand."""

from handmade import run, runs_of
from titan_repro.figures.table1 import SELECTORS, table1


def cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_times_and_accuracies_a_setting():
    runs = runs_of(
        run("rs", 0, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0)),
        run("rs", 1, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0)),
        run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.5), (100, 0.9, 3.0)),
        run("titan", 1, (0, 0.1, 0.0), (50, 0.2, 1.5), (100, 0.4, 3.0)),
        run("hl", 0, (0, 0.1, 0.0), (100, 0.2, 1.0), seconds_per_round=0.03),
        run("ce", 0, (0, 0.1, 0.0), status="diverged"),
        run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.0), label="titan filter.budget=20"),
        run("is", 0, (0, 0.1, 0.0), (9, 0.3, 1.0), setting="s2", rounds=9, detail=", batch_size 5"),
    )
    times, accuracies = table1(runs).split("\n\nFinal accuracy")
    head, _, first, second = times.splitlines()[2:]
    assert cells(head) == ["task", "model", "rounds", "seeds", *SELECTORS]
    row = dict(zip(cells(head), cells(first), strict=True))
    assert row["rs"] == "1.00"
    assert row["titan"] == "0.75 (1 of 2)"
    assert row["hl"] == "> 3.00"
    assert row["ce"] == "> 1.00"
    assert row["ocs"] == "-"
    assert (row["rounds"], row["seeds"]) == ("100", "2")
    alone = dict(zip(cells(head), cells(second), strict=True))
    assert alone["task"] == "digits, batch_size 5"
    assert alone["is"] == "-"  # no random selection to be compared with
    values = dict(zip(cells(head), cells(accuracies.splitlines()[4]), strict=True))
    assert (values["rs"], values["titan"], values["ce"]) == ("50.0", "65.0", "diverged")
