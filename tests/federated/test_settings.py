import json

import pytest
import torch

from titan_repro.errors import ConfigurationError
from titan_repro.federated.settings import Federation, draw_participants

BAD = [
    ("devices", 0, "at least 1"),
    ("devices", None, "at least 1"),
    ("devices", True, "at least 1"),
    ("classes_per_device", 0, "at least 1"),
    ("alpha", 0, "above 0"),
    ("share", 0, "above 0"),
    ("share", 1.5, "at most 1"),
    ("local_iterations", 0, "at least 1"),
    ("proximal", -1, "at least 0"),
    ("workers", 0, "at least 1"),
    ("workers", 257, "at most 256"),
    ("workers", 11, "at most 10, the devices that take part in a round"),
    ("timeout_seconds", 0, "above 0"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_a_wrong_value_is_named(name, value, allowed):
    with pytest.raises(ConfigurationError, match=rf"^{name}: found .*{allowed}"):
        Federation(**{name: value})


def test_a_share_of_nobody_is_refused_with_the_least_that_works():
    with pytest.raises(ConfigurationError, match=r"^share: found 0\.009, of which 0 of 50.*0\.01"):
        Federation(share=0.009)
    assert Federation(share=0.01).participants(50) == 1
    for devices in range(1, 3000):
        with pytest.raises(ConfigurationError) as caught:
            Federation(devices=devices, share=1e-5)
        least = float(str(caught.value).partition("at least ")[2].partition(",")[0])
        assert Federation(devices=devices, share=least).participants(devices) == 1


def test_facts_hold_what_is_used_and_no_more():
    assert "alpha" not in Federation().facts()
    assert Federation(by="dirichlet").facts()["alpha"] == 0.5
    assert "classes_per_device" not in Federation(by="user", devices=None).facts()
    assert Federation(workers=3, timeout_seconds=1).facts() == Federation().facts()


def test_one_and_one_point_zero_are_one_run():
    """A run is named by the text of these numbers."""
    whole = Federation(by="dirichlet", alpha=1, share=1, proximal=0)
    real = Federation(by="dirichlet", alpha=1.0, share=1.0, proximal=0.0)
    assert json.dumps(whole.facts()) == json.dumps(real.facts())


def test_participants_are_distinct_rising_and_all_alike():
    """Each of 20 devices is in a fifth of 2,000 rounds; 4.5 deviations, wrong once in 7,000."""
    drawn = [draw_participants(0, t, 20, 4) for t in range(2000)]
    assert all(devices == sorted(set(devices)) and len(devices) == 4 for devices in drawn)
    counts = torch.bincount(torch.tensor(drawn).flatten(), minlength=20)
    deviation = (2000 * 0.2 * 0.8) ** 0.5
    assert ((counts - 400).abs() < 4.5 * deviation).all()


def test_participants_follow_from_seed_and_round():
    assert draw_participants(1, 7, 50, 10) == draw_participants(1, 7, 50, 10)
    assert draw_participants(1, 7, 50, 10) != draw_participants(1, 8, 50, 10)
    assert draw_participants(1, 7, 50, 10) != draw_participants(2, 7, 50, 10)
    assert draw_participants(0, 0, 3, 3) == [0, 1, 2]
