"""Calibration: known constants come back, fit and check are apart, residuals have reasons."""

import copy
from dataclasses import replace

import pytest
import yaml

from titan_repro.boards.board import read_board
from titan_repro.boards.calibration import CONSTANTS, calibrate
from titan_repro.boards.contradictions import calculate, paper_contradictions
from titan_repro.boards.paper import IMAGE_MODELS, published_numbers
from titan_repro.boards.paper_model import (
    baseline_seconds,
    fitted_numbers,
    memory_mb,
    modelled_numbers,
    rs_round,
    sequence_seconds,
    titan_round,
)
from titan_repro.conf_path import conf_dir
from titan_repro.figures import calibration as report
from titan_repro.figures.calibration import calibration_report, is_off, needs_reason
from titan_repro.figures.costs_table import digits

PROFILE = yaml.safe_load((conf_dir() / "device" / "jetson_nano.yaml").read_text())["modelled"]
FIGURES = published_numbers()
FITTED = [figure for figure in FIGURES if figure.use == "fit"]


@pytest.fixture(scope="module")
def board():
    return read_board(PROFILE)


@pytest.fixture(scope="module")
def numbers(board, setups):
    return modelled_numbers(board, setups)


def entry(modelled, key):
    for name in key.split("."):
        modelled = modelled[name]
    return modelled


def test_the_papers_numbers_are_all_there():
    figures = {figure.id: figure for figure in FIGURES}
    assert len(figures) == len(FIGURES)
    assert figures["fig6a.pipelined.alexnet"].value == 3.98
    assert figures["torch2trt.gpu.resnet50"].value == 81.7
    assert {figure.use for figure in FIGURES} == {"fit", "check"}
    assert all(figure.source and figure.unit for figure in FIGURES)


def test_what_is_fitted_is_what_the_issue_names(board, setups):
    kinds = [figure.id.rsplit(".", 1)[0] for figure in FITTED]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("fig6a.alone", "fig6a.sequence", "fig6a.pipelined", "fig8.cis", "fig8.titan1", "fig6d.rs",
         "fig6d.titan"), 4,
    )  # fmt: skip
    assert set(fitted_numbers(board, setups)) == {figure.id for figure in FITTED}


def test_the_model_has_a_number_for_every_figure(numbers):
    assert set(numbers) == {figure.id for figure in FIGURES}
    assert all(number > 0 for number in numbers.values())


def test_the_profile_meets_what_it_was_fitted_to_and_misses_nothing_without_a_reason(numbers):
    """If a change of networks or formulas moves the counts, jetson_nano is to be fitted anew."""
    for figure in FIGURES:
        assert needs_reason(figure, numbers) == bool(figure.residual), figure.id
    assert sum(is_off(figure, numbers) for figure in FITTED) == 2
    watts = [figure.id for figure in FITTED if figure.unit == "W" and figure.residual]
    assert watts == ["fig6d.titan.alexnet", "fig6d.titan.squeezenet", "fig6d.titan.resnet50"]


@pytest.mark.parametrize("model", IMAGE_MODELS)
def test_pipelined_rounds_and_memory_are_close_to_the_papers(board, setups, numbers, model):
    paper = {figure.id: figure.value for figure in FIGURES}
    ratio = titan_round(board, setups[model]).seconds / rs_round(board, setups[model]).seconds
    printed = paper[f"fig6a.pipelined.{model}"] / paper[f"fig6a.alone.{model}"]
    assert ratio == pytest.approx(printed, abs=0.1)
    assert numbers[f"fig6c.titan.{model}"] == pytest.approx(paper[f"fig6c.titan.{model}"], rel=0.25)


def test_numbers_by_hand(board, setups, numbers):
    cpu, gpu, setup = board.processors["cpu"], board.processors["gpu"], setups["squeezenet"]
    train, score = cpu.seconds(setup.rs.train), cpu.seconds(setup.titan.score)
    select = cpu.seconds(setup.titan.select)
    assert sequence_seconds(board, setup) == pytest.approx(train + score + select)
    whole = sequence_seconds(board, setup, with_filter=True)
    assert whole - sequence_seconds(board, setup) == pytest.approx(cpu.seconds(setup.titan.filter))
    assert numbers["fig8.titan1.squeezenet"] == pytest.approx(10 * gpu.seconds(setup.titan.filter))
    assert setup.titan.score.flops == 30 * setup.one.flops
    looked = baseline_seconds(board, setup, "ll") - baseline_seconds(board, setup, "rs")
    assert looked == pytest.approx(100 * cpu.seconds(setup.counter("ll").score(1)), rel=0.01)
    parts = memory_mb(setup)
    batch = 10 * (4 * 3 * 224**2 + 8) / 1e6
    sample = 4 * 3 * 224**2 / 1e6
    total = parts["update"] + parts["fine"] + parts["coarse"]
    assert parts["titan"] == pytest.approx(total + batch - sample)


def test_known_constants_are_found_from_the_numbers_that_they_make(setups):
    """What decides the figures comes back; what they leave open stays near its guess."""
    truth = copy.deepcopy(PROFILE)
    cpu, gpu = truth["processors"]["cpu"], truth["processors"]["gpu"]
    kinds = ("dense", "depthwise", "linear")
    cpu["forward_efficiency"] = dict.fromkeys(kinds, 0.5)
    cpu["backward_efficiency"] = dict.fromkeys(kinds, 0.25)
    cpu["channel_us"] = {"forward": 60.0, "backward": 150.0}
    gpu["launch_us"] = 150.0
    truth["handover"] = {"gb_per_s": 0.5, "tensor_ms": 3.0}
    made = fitted_numbers(read_board(truth), setups)
    figures = [replace(figure, value=made[figure.id]) for figure in FITTED]
    found = calibrate(PROFILE, figures, setups)
    again = fitted_numbers(found.board, setups)
    for figure in figures:
        assert again[figure.id] == pytest.approx(figure.value, rel=0.05), figure.id
    for key, value in (
        ("processors.cpu.forward_efficiency.dense", 0.5),
        ("processors.cpu.backward_efficiency.depthwise", 0.25),
        ("processors.cpu.channel_us.forward", 60.0),
        ("processors.cpu.channel_us.backward", 150.0),
    ):
        assert entry(found.modelled, key) == pytest.approx(value, rel=0.15), key


@pytest.mark.slow
def test_the_profile_is_what_the_fit_gives_wherever_it_starts(setups):
    changed = copy.deepcopy(PROFILE)
    changed["processors"]["cpu"]["launch_us"] = 500.0
    changed["awake_watts"] = 2.0
    found = calibrate(changed, FITTED, setups)
    for constant, value in zip(CONSTANTS, found.values, strict=True):
        assert constant.low <= value <= constant.high
        for key in constant.keys:
            assert entry(found.modelled, key) == value
            assert entry(PROFILE, key) == pytest.approx(value, rel=0.02), key
    for key in ("processors.cpu.peak_gflops", "idle_watts", "train", "networks"):
        assert entry(found.modelled, key) == entry(PROFILE, key)


def test_the_report_tells_fitted_from_checked(setups, monkeypatch):
    """With the profile as it is in place of the fits, which take a minute."""
    values = tuple(entry(PROFILE, constant.keys[0]) for constant in CONSTANTS)
    fit = report.Calibration(PROFILE, values)
    monkeypatch.setattr(report, "calibrate", lambda *_: fit)
    monkeypatch.setattr(report, "left_out", lambda *_: {f.id: 2 * f.value for f in FITTED})
    text = calibration_report(PROFILE, setups)
    assert text == calibration_report(PROFILE, setups)
    titles = ("Fitted: 28", "Checked, not seen", "What the larger", "Rounds at", "Numbers of the p")
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert places[0] < text.index("| fig6a.alone.alexnet") < places[1]
    assert places[1] < text.index("| ncnn.cpu.mobilenet") < places[2]
    assert "not explained" not in text
    line = next(line for line in text.splitlines() if line.startswith("| fig6a.alone.alexnet"))
    assert [cell.strip() for cell in line.split("|")][3:7] == ["3.15", "2.99", "-5", "+100"]
    assert "1 + 100 * 0.1295 / 3.15 = 5.11" in text


def test_contradictions_are_arithmetic_of_the_papers_numbers():
    found = {each.id: each for each in paper_contradictions()}
    assert len(found) == len(paper_contradictions())
    assert found["table1.alexnet"].implied_value == pytest.approx(5.11, abs=0.005)
    assert found["table1.alexnet"].printed_value == 3.98
    hidden = [found[f"hidden.{model}"].implied_value for model in IMAGE_MODELS]
    assert [round(share) for share in hidden] == [79, 93, 98, 83]
    assert round(sum(hidden) / 4) == 88
    for model in IMAGE_MODELS:  # a sequence is training and C-IS, without the filter
        each = found[f"without_filter.{model}"]
        assert each.printed_value == pytest.approx(each.implied_value, rel=0.03)
    paper = {f"{figure.value:g}" for figure in FIGURES}
    assert {"3.15", "7.03", "3.98", "129.5"} <= paper


@pytest.mark.parametrize("text", ["abs(1)", "2 ** 3", "'a' + 'b'", "x", "-1", "True + 1"])
def test_nothing_but_arithmetic_is_evaluated(text):
    with pytest.raises(ValueError, match="not arithmetic"):
        calculate(text)


def test_digits():
    assert [digits(x) for x in (0, 0.01234, 3.14159, 441.2)] == ["0", "0.0123", "3.14", "441"]
