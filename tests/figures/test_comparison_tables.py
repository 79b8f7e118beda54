"""What `titan-report compare` says, from runs written down by hand."""

from handmade import run, runs_of
from titan_repro.analysis.clocks import NoTimeError, OwnClock
from titan_repro.figures.comparison import comparison_tables

RS_0 = run("rs", 0, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0))
RS_1 = run("rs", 1, (0, 0.1, 0.0), (50, 0.7, 2.0), (100, 0.6, 4.0))


def tables(*runs, clock=None):
    return comparison_tables(runs_of(*runs), lambda group: clock or OwnClock())


def rows(*runs, clock=None):
    [table] = tables(*runs, clock=clock)
    return {row[0]: list(row[1:]) for row in table.rows}


def test_cells():
    variant = run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.5), label="titan filter.budget=20")
    found = rows(RS_0, RS_1, variant)
    assert found["rs"] == ["2", "55.00 ± 7.07", "2 of 2", "1.00", "1.00", "30.00"]
    assert found["titan filter.budget=20"] == ["1", "50.00", "1 of 1", "0.50", "0.75", "30.00"]


def test_never_and_diverged_are_words():
    found = rows(
        RS_0,
        run("hl", 0, (0, 0.1, 0.0), (200, 0.2, 8.0)),
        run("ce", 0, (0, 0.1, 0.0), (50, 0.2, 8.0), status="diverged"),
    )
    assert found["hl"][2:5] == ["0 of 1", "> 2.00", "> 4.00"]
    assert found["ce"][:5] == ["1 (1 diverged)", "diverged", "0 of 1", "diverged", "diverged"]


def test_why_there_is_no_target():
    titan = [run("titan", seed, (0, 0.1, 0.0), (100, 0.9, 1.0)) for seed in (0, 1, 2)]
    lost = run("rs", 2, (0, 0.1, 0.0), status="diverged")
    assert rows(*titan)["titan"][2:5] == ["no rs of that seed", "no target", "no target"]
    assert rows(*titan, RS_0, lost)["titan"][2] == "1 of 1 (no rs of that seed, rs diverged)"
    flat = run("rs", 0, (0, 0.3, 0.0), (100, 0.2, 2.0))
    assert rows(titan[0], flat)["titan"][2] == "rs ended no better than it began"
    assert "-" not in [cell for row in rows(titan[0], flat).values() for cell in row]


def test_settings_are_never_mixed_and_say_what_they_are():
    longer = {"setting": "s2", "rounds": 200, "detail": ", batch_size 5"}
    titan = run("titan", 0, (0, 0.1, 0.0), (100, 0.5, 1.0))
    first, second = tables(RS_0, titan, {**titan, **longer})
    assert first.title.startswith(
        "digits, small_cnn, stream clean, 100 rounds; data: digits (bundled); time: measured by"
    )
    assert "200 rounds, batch_size 5; data: digits (bundled)" in second.title
    assert [row[0] for row in first.rows] == ["rs", "titan"]
    assert [row[0] for row in second.rows] == ["titan"]


class Half(OwnClock):
    """A clock that knows rs alone."""

    def seconds(self, run, curve):
        if run["selector"] != "rs":
            raise NoTimeError("it was never timed")
        return super().seconds(run, curve)


def test_a_selector_without_a_time_is_named_and_its_rounds_are_shown():
    titan = run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.0))
    [table] = tables(RS_0, titan, clock=Half())
    assert table.rows[1][4:] == ("0.50", "no time", "no time")
    assert table.notes[0] == "No time on this clock: titan (it was never timed)."
