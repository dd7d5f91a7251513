"""Rounding, clipping and ties of the guided planner's arithmetic, on numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.prices import Priced
from spikeplan.core.registry import load_plugins
from spikeplan.lava_procs.guided.arithmetic import charge, draw_noise, least, perturb, terms_of

TOP = 2**23 - 1
Params = Callable[..., GuidedParams]
WRONG = """
import numpy as np
from spikeplan.core.prices import PriceKind

class Wrong:
    most = 100
    def __init__(self, how):
        self.how = how
    def step(self, z_SD, action_SA, goal):
        full = np.zeros(len(z_SD), np.int64)
        return (full - 1, full / 2, full[1:], full + 2**30)[self.how]

PRICE = PriceKind(name="wrong", make=Wrong)
"""


def test_noise_rounds_toward_zero_in_plan_lsb_and_the_action_is_clipped(params: Params) -> None:
    """300 e / 256 of -3, 3, 1 is -3.5, 3.5, 1.2: times 2 in action LSB after rounding. The limit is 2 * 400."""
    noise = np.array([[0, -3], [3, 1], [-510, 510]])
    assert perturb(np.zeros((3, 2), np.int64), noise, 0, params()).tolist() == [[0, -6], [6, 2], [-800, 800]]
    assert perturb(np.full((1, 2), 799), noise[:1], 0, params()).tolist() == [[799, 793]]


def test_copy_0_does_what_the_policy_proposes(params: Params) -> None:
    noise = draw_noise(7, params())
    assert noise.shape == (5, 2) and (noise[0] == 0).all() and (noise[1:] != 0).all()


def test_the_least_number_among_equals_wins() -> None:
    assert least(np.array([9, 4, 7, 4, 4])) == 1
    assert least(np.full(8, TOP)) == 0


def test_prices_are_shifted_before_they_are_weighed(params: Params) -> None:
    """z at distance 7 of the goal: 3 in cost LSB. Of the places 10 and 3 away: margin 10 - 3 = 7, again 3, thrice: 9."""
    p = params(prices=(Priced(name="distance"), Priced(name="avoid", weight=3, settings={"margin": 10})))
    z = np.array([[7, 0, 0, 0], [0, 0, 0, 0]])
    goal = np.array([[0, 0, 0, 0], [17, 0, 0, 0], [7, -3, 0, 0]])
    cost, clipped = charge(np.array([100, 0]), z, np.zeros((2, 2), np.int64), goal, terms_of(p), p)
    assert cost.tolist() == [112, 0] and clipped == 0


def test_every_clip_is_counted(params: Params) -> None:
    """Two coordinates at opposite ends: the distance is clipped; added to a cost near the end, the sum is clipped too."""
    p = params(prices=(Priced(name="distance", weight=2),))
    z = np.array([[TOP, TOP, 0, 0], [1, 0, 0, 0]])
    goal = np.array([[-TOP, -TOP, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    cost, clipped = charge(np.array([TOP - 5, 0]), z, np.zeros((2, 2), np.int64), goal, terms_of(p), p)
    assert cost.tolist() == [TOP, TOP - 1] and clipped == 3


@pytest.mark.parametrize(("how", "found"), [(0, "int64"), (1, "float64"), (2, r"\(1,\)")])
def test_a_users_price_must_be_whole_and_not_negative(
    how: int, found: str, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    monkeypatch.setenv("SPIKEPLAN_PLUGINS", "")
    load_plugins([str(tmp_path / "wrong.py")])
    zero = np.zeros(2, np.int64)
    z, action, goal = np.zeros((2, 4), np.int64), np.zeros((2, 2), np.int64), np.zeros((3, 4), np.int64)
    p = params(prices=(Priced(name="wrong", settings={"how": how}),))
    with pytest.raises(UserError, match=f"price wrong: step returned .*{found}.*; expected 2 whole numbers >= 0"):
        charge(zero, z, action, goal, terms_of(p), p)
    p = params(prices=(Priced(name="wrong", settings={"how": 3}),))
    cost, clipped = charge(zero, z, action, goal, terms_of(p), p)
    assert cost.tolist() == [TOP >> 1] * 2 and clipped == 2, "more than 24 bits: clipped, whatever `most` says"
