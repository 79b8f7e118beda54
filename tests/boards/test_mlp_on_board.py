"""What jetson_nano says of the MLP, whose rounds are a thousand times shorter than those that its
constants were fitted to: the numbers that docs/devices.md gives, and the paper's beside them.
"""

import pytest
import yaml

from titan_repro.boards.board import read_board
from titan_repro.boards.clock import inline_round, pipelined_round
from titan_repro.boards.paper_model import BASELINES
from titan_repro.boards.round_work import RoundCounter, RoundSize
from titan_repro.conf_path import conf_dir
from titan_repro.models.mlp import mlp
from titan_repro.paper.published import claimed_numbers
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter

PROFILE = yaml.safe_load((conf_dir() / "device" / "jetson_nano.yaml").read_text())["modelled"]
SHAPE, CLASSES = (900,), 5
RANDOM, TITAN, EVERY = (
    RoundSize(0, 0, 100, 10),
    RoundSize(100, 30, 30, 10),
    RoundSize(0, 100, 100, 10),
)
BULK = {"filter_at_once": None, "score_at_once": None}


def counter(policy, coarse_filter=None):
    return RoundCounter(mlp(SHAPE, CLASSES, widths=[100]), coarse_filter, policy, input_shape=SHAPE)


@pytest.fixture(scope="module")
def titan():
    coarse = CoarseFilter(30, "rep_plus_div", "per_class_proportional", 1.0, num_classes=CLASSES)
    return counter(ClassifiedImportanceSampling(), coarse)


def milliseconds(board, titan):
    rs = inline_round(board, counter(BASELINES["rs"]), RANDOM)
    costs = (rs, inline_round(board, titan, TITAN), pipelined_round(board, titan, TITAN))
    return [1e3 * cost.seconds for cost in costs]


def test_launches_and_messages_make_the_pipeline_slower_than_the_sequence(titan):
    """Sample by sample; and all at once, which leaves the messages."""
    board, at_once = read_board(PROFILE), read_board(PROFILE | BULK)
    assert milliseconds(board, titan) == pytest.approx([1.1, 34.1, 91.1], abs=0.1)
    assert milliseconds(at_once, titan) == pytest.approx([1.1, 2.5, 17.2], abs=0.1)
    cost = pipelined_round(board, titan, TITAN)
    work = titan.round(TITAN, filter_at_once=1, score_at_once=1)
    launches = work.filter.launches + work.score.launches
    launched = launches * board.processors["gpu"].launch_seconds
    assert launched > 0.8 * cost.selection_seconds
    tensors = titan.state[1] * board.handover.tensor_seconds
    assert tensors > 0.8 * cost.synchronisation_seconds
    assert launched > 3 * launches * board.processors["cpu"].launch_seconds


def test_the_papers_own_round_of_the_mlp_is_neither(titan):
    """Table 1: rounds of LL over those of RS, as it never arrived; one by one, and all at once."""
    printed = claimed_numbers()["table1.time.mlp.ll"]
    ratios = []
    for profile in (PROFILE, PROFILE | BULK):
        board = read_board(profile)
        rs = inline_round(board, counter(BASELINES["rs"]), RANDOM)
        ratios.append(inline_round(board, counter(BASELINES["ll"]), EVERY).seconds / rs.seconds)
    assert ratios == pytest.approx([25.4, 1.8], abs=0.1)
    assert ratios[1] < printed < ratios[0]
