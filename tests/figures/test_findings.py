"""Findings say what the intervals allow, and the numbers are the runs'."""

from evidence_by_hand import evidence, judged, seeds

from titan_repro.analysis.statistics import mean_interval
from titan_repro.claims.verdicts import Verdict
from titan_repro.figures.differences import differences
from titan_repro.figures.findings import findings, main_setting
from titan_repro.figures.page.claim_rows import verdict_words
from titan_repro.figures.reproduction import reproduction
from titan_repro.figures.words import MINUS, gained, numbers_in_words, plain_number, side, signed

RS = seeds("rs", [0.50, 0.52, 0.54])


def text_of(topic: str, *runs) -> str:
    [found] = [finding for finding in findings(evidence(*runs)) if finding.topic == topic]
    return found.text


def titan(finals):
    return text_of("Titan against random selection", *RS, *seeds("titan", finals))


def test_titan_ends_above_below_beside_or_nothing_is_known():
    assert titan([0.60, 0.62, 0.645]) == (
        "small_cnn on digits, 100 rounds: Titan ends above random selection, by +10.2 points "
        "(95 %: +9.4 to +10.9, 3 seeds)."
    )
    assert f"Titan ends below random selection, by {MINUS}10.0 points" in titan([0.40, 0.42, 0.44])
    assert "Titan cannot be told apart from random selection" in titan([0.40, 0.62, 0.54])
    assert titan([0.60]).endswith("random selection, by +10.0 points (1 seed).")


def test_the_control_is_told_by_its_own_interval():
    topic = "What stratification alone is worth"
    runs = [*RS, *seeds("titan", [0.60, 0.62, 0.645])]
    assert "is not seen to gain: +0.0 points" in text_of(
        topic, *runs, *seeds("stratified", [0.5, 0.521, 0.539])
    )
    assert "has a part of it: +5.0" in text_of(
        topic, *runs, *seeds("stratified", [0.55, 0.57, 0.59])
    )


def test_the_speed_counts_who_arrived():
    topic = "Time to random selection's accuracy"
    assert "reaches rs's accuracy after 0.50 of the rounds (3 of 3 seeds)" in text_of(
        topic, *RS, *seeds("titan", [1.0, 1.0, 1.0])
    )
    assert "never reaches rs's accuracy (3 seeds)" in text_of(
        topic, *RS, *seeds("titan", [0.2, 0.2, 0.2])
    )


def test_baselines_are_held_against_the_side_that_the_paper_has_them_on():
    shared = {"task": "cifar10", "model": "alexnet"}
    runs = [
        *seeds("rs", [0.50, 0.52, 0.54], **shared),
        *seeds("titan", [0.60, 0.62, 0.645], **shared),
        *seeds("ll", [0.20, 0.21, 0.22], **shared),  # below rs in the paper, too
        *seeds("is", [0.30, 0.31, 0.32], **shared),  # above it there
        *seeds("ce", [0.40, 0.52, 0.65], **shared),  # above it there, too
    ]
    text = text_of("The other selectors", *runs)
    assert text.startswith(
        f"Of 3 others in Table 1, 1 differs from rs as the paper has it (ll {MINUS}31.0"
    )
    assert f"; 1 differs the other way (is {MINUS}21.0" in text
    assert "; 1 cannot be told apart from rs (ce +0.3 [" in text


def test_the_setting_with_the_most_pairs_speaks_and_the_others_come_last():
    runs = [*RS, *seeds("titan", [0.60, 0.62, 0.645])]
    other = {"setting": "s2", "task": "dsads", "model": "mlp", "rounds": 200}
    names = {"rs": 0.5, "stratified": 0.6, "titan": 0.7}
    more = [run for name, end in names.items() for run in seeds(name, [end], **other)]
    found = evidence(*runs, *more)
    assert main_setting(found).task == "digits"
    assert findings(found)[-1].text == (
        "Titan over rs elsewhere: mlp on dsads, 200 rounds: +20.0 points (1 seed), "
        "a stratified batch +10.0 points (1 seed). "
        "1 of these rests on fewer than 3 seeds: a lead."
    )


def test_without_pairs_there_are_no_findings():
    assert findings(evidence(*RS)) == []


def test_what_differs_is_read_off_the_runs():
    jpeg = {"task": "cifar10", "data_source": "cifar10 (parquet, JPEG images)", "model": "alexnet"}
    movement = {"task": "dsads", "data_source": "dsads (npz)", "model": "mlp"}
    found = evidence(*seeds("rs", [0.5, 0.6], **jpeg), *seeds("titan", [0.5], **jpeg, rounds=400))
    told = {each.what: each.ours for each in differences(found.runs.summaries)}
    assert "JPEG" in told["data"]
    assert told["models"] == "no run yet of mobilenet, squeezenet, resnet50, resnet34, mlp"
    assert told["rounds"] == "100 and 400 (alexnet on cifar10)"
    assert told["seeds"] == "1 to 2 seeds (alexnet on cifar10)"
    stands_in = differences(evidence(*seeds("rs", [0.5], **movement)).runs.summaries)
    assert stands_in[0].paper == "harbox"
    assert stands_in[0].ours.startswith("dsads stands in")


def test_the_report_has_its_parts_and_names_what_is_open():
    verdicts = [
        judged("headline.time", Verdict.HOLDS, value=50.0, interval=(44.0, 56.0), seeds=3),
        judged("headline.accuracy"),
    ]
    text = reproduction(evidence(*RS, *seeds("titan", [0.6]), judgements=verdicts))
    parts = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert parts == [
        "Scope",
        "What differs from the paper",
        "What was run",
        "What came out",
        "What was easy",
        "What was difficult",
        "What would change our mind",
    ]
    assert "50 % [44, 56]" in text
    assert "- 1 claim is undecided" in text
    assert "headline.accuracy." in text
    assert "- 1 setting has fewer than 3 pairs" in text
    assert "titan: 1, 2" in text  # seeds without a run
    assert text == reproduction(evidence(*RS, *seeds("titan", [0.6]), judgements=verdicts))


def test_what_holds_by_definition_is_no_success():
    name = "table1.time.alexnet.rs"
    some = [judged(name, Verdict.HOLDS, note="1 by definition"), judged("headline.accuracy")]
    assert verdict_words(some).startswith(
        "Of the paper's 2 claims, 1 hold (1 by definition, rs against itself), 0 hold in direction"
    )


def test_numbers_in_words():
    assert (signed(-0.01), signed(2.46), plain_number(-3.0)) == ("+0.0", "+2.5", f"{MINUS}3.0")
    assert numbers_in_words([0, 1, 2, 4, 6, 7]) == "0 to 2, 4, 6, 7"
    assert numbers_in_words([]) == ""
    assert gained(mean_interval([1.0])) == "+1.0 points (1 seed)"
    sides = [side(mean_interval(x)) for x in ([1, 1.1], [-1, -1.1], [1, -1], [1], [])]
    assert sides == ["above", "below", "beside", "open", "open"]
