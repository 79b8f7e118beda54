"""Table 1 from runs written down by hand, the paper's numbers beside them."""

from handmade import run, runs_of
from titan_repro.analysis.clocks import OwnClock
from titan_repro.figures.table import Bold, render
from titan_repro.figures.table1 import Data, tables


def made(*runs):
    return tables(Data([runs_of(*runs)], lambda group: OwnClock()))


def columns(table):
    """Return every row's cells by the name of their column; of equal names the first counts."""
    return {row[0]: dict(reversed(list(zip(table.header, row, strict=True)))) for row in table.rows}


RS = [run("rs", seed, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0)) for seed in (0, 1)]


def test_the_papers_selectors_first_then_all_others_and_what_was_not_run_is_said():
    [table] = made(
        *RS,
        run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.5), (100, 0.9, 3.0)),
        run("titan", 1, (0, 0.1, 0.0), (50, 0.2, 1.5), (100, 0.4, 3.0)),
        run("hl", 0, (0, 0.1, 0.0), (100, 0.2, 6.0)),
        run("ce", 0, (0, 0.1, 0.0), status="diverged"),
        run("mine", 0, (0, 0.1, 0.0), (50, 0.5, 1.0)),
        run("cis", 0, (0, 0.1, 0.0), (50, 0.5, 1.0)),
    )
    found = columns(table)
    assert list(found) == ["rs", "is", "ll", "hl", "ce", "ocs", "camel", "titan", "cis", "mine"]
    assert found["rs"]["time / RS"] == "1.00"
    assert found["titan"]["time / RS"] == "0.75 (1 of 2)"
    assert found["titan"]["rounds / RS"] == "0.50 (1 of 2)"
    assert found["titan"]["accuracy, %"] == "65.0 ± 35.4"
    assert found["hl"]["time / RS"] == "> 3.00"
    assert found["ce"]["time / RS"] == found["ce"]["accuracy, %"] == "diverged"
    assert found["ocs"]["seeds"] == "no run"
    assert found["mine"]["accuracy, %"] == "50.0"
    assert "paper" not in " ".join(table.header)
    assert "No numbers of the paper beside digits, small_cnn: it has none" in table.notes[0]


def test_a_setting_without_random_selection_says_so():
    [_, table] = made(*RS, run("is", 0, (0, 0.1, 0.0), (9, 0.3, 1.0), setting="s2", rounds=9))
    assert columns(table)["is"]["time / RS"] == "no target"
    assert table.notes[0] == "Seeds without a target: is (no rs of that seed)."


def at(rounds, **more):
    shared = {"task": "cifar10", "model": "alexnet", "rounds": rounds, **more}
    return made(
        run("rs", 0, (0, 0.1, 0.0), (rounds, 0.5, 2.0), **shared),
        run("cis", 0, (0, 0.1, 0.0), (rounds, 0.5, 2.0), **shared),
    )[0]


def test_the_papers_numbers_at_the_same_round_are_read_off_figure_7():
    table = at(4000)
    assert table.header == (
        *("selector", "seeds", "rounds / RS", "paper, 4,000", "time / RS", "paper, 20,000"),
        *("accuracy, %", "paper, 4,000", "over RS, points"),
    )
    found = {row[0]: row for row in table.rows}
    assert found["rs"][-2] == "43.9"
    assert found["rs"][3] == "1.00"
    assert found["cis"][-2] == "49.6"
    assert float(found["cis"][3]) < 1
    assert found["titan"][5:] == ("0.70", "", "", "")  # figure 7 has C-IS in its place
    assert found["ll"][3] == "never"
    assert any("read off Figure 7" in note for note in table.notes)


def test_at_20000_rounds_accuracies_are_table_1s_own():
    found = {row[0]: row for row in at(20000).rows}
    assert found["rs"][-2] == "71.2"
    assert found["titan"][5:] == ("0.70", "", "74.5", "")
    assert found["cis"][-2] == "76.5"  # not in Table 1: read off figure 7


def test_noisy_streams_are_held_against_figure_11():
    table = at(2000, stream="label_noise", model="mobilenet")
    assert "paper, 20,000" not in table.header
    assert any("Figure 11b" in note for note in table.notes)
    none = at(2000, stream="drift", model="mobilenet")
    assert "paper, 2,000" not in none.header


def test_another_data_set_is_not_held_against_the_papers():
    table = at(20000, task="dsads", model="mlp")
    assert "paper" not in " ".join(table.header)
    assert "the paper trained mlp on harbox" in table.notes[0]


def ends(selector, *accuracies):
    return [
        run(selector, seed, (0, 0.1, 0.0), (100, accuracy, 2.0))
        for seed, accuracy in enumerate(accuracies)
    ]


def bold(*runs):
    [table] = made(*runs)
    return [row[0] for row in table.rows if any(isinstance(cell, Bold) for cell in row)]


def test_the_best_is_bold_where_the_paired_intervals_say_so():
    rs, other = ends("rs", 0.50, 0.60, 0.70), ends("hl", 0.51, 0.61, 0.70)
    assert bold(*rs, *other, *ends("titan", 0.60, 0.70, 0.81)) == ["titan"]
    # The means differ as much, but not in every seed:
    assert bold(*rs, *other, *ends("titan", 0.75, 0.65, 0.71)) == []
    # Two seeds have an interval, too, but are too few; so has one that is missing beside one.
    assert bold(*rs[:2], *ends("titan", 0.60, 0.70)) == []
    assert bold(*rs, *other[:2], *ends("titan", 0.60, 0.70, 0.81)) == []
    assert bold(*rs) == []


def test_bold_is_shown_in_every_format_but_csv_and_the_gain_has_its_interval():
    found = made(*ends("rs", 0.50, 0.60, 0.70), *ends("titan", 0.60, 0.70, 0.81))
    assert "| **70.3 ± 10.5**" in render(found)
    assert "<strong>70.3 ± 10.5</strong>" in render(found, "html")
    assert r"\textbf{70.3 $\pm$ 10.5}" in render(found, "latex")
    assert "*" not in render(found, "csv")
    assert columns(found[0])["titan"]["over RS, points"] == "+10.33 [+8.90, +11.77]"


def test_a_setting_is_shown_at_every_length_once_shorter_ones_first():
    short, long = (
        runs_of(*(run("rs", 0, (0, 0.1, 0.0), (n, 0.5, 1.0), rounds=n) for n in (rounds,)))
        for rounds in (1000, 20_000)
    )
    found = tables(Data([long, short, long], lambda group: OwnClock(), ("Not run yet, x.",)))
    assert ["1000 rounds" in table.title for table in found] == [True, False]
    assert [table.notes[-1] == "Not run yet, x." for table in found] == [False, True]
