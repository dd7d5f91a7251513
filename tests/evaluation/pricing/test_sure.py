"""How sure an order of two systems is: closed forms, episodes and constants together, and what to measure to decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.errors import UserError
from spikeplan.energy import load
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.systems import Part, System
from spikeplan.energy.uncertainty import PRIORS
from spikeplan.evaluation.pricing.decide import EPISODES
from spikeplan.evaluation.pricing.episodes import BOTH, KEPT, POSTERIOR, reached
from spikeplan.evaluation.pricing.runs import full_dense, read_run
from spikeplan.evaluation.pricing.sure import BETWEEN, Plans, contenders, pair_rows, sample, undecided
from spikeplan.evaluation.pricing.systems import systems_report

CHIP = System(name="chip", title="Loihi 2 alone", side="spiking", parts=(Part(device="loihi2", does="plan"),))
BOARD = System(name="board", title="Orin alone", side="dense", parts=(Part(device="orin_nano", does="plan"),))
TWO = {"chip": CHIP, "board": BOARD}
SELDOM = 1e-4  # actions a second: what both draw at rest is all that they draw


@pytest.fixture
def resting(tmp_path: Path) -> Callable[..., Catalogue]:
    """The catalogue with other watts at rest: (low, nominal, high) of the chip and of the board."""

    def catalogue(chip: tuple[float, float, float], board: tuple[float, float, float], **shared: str) -> Catalogue:
        lines = []
        for device, name, band in (("loihi2", "p_static", chip), ("orin_nano", "p_idle", board)):
            more = "".join(f', {key} = "{value}"' for key, value in shared.items())
            bounds = "low = {}, nominal = {}, high = {}".format(*band)
            lines.append(
                f"[devices.{device}.figures]\n"
                f'{name} = {{ {bounds}, unit = "W", source = "by hand", evidence = "D", node = "x"{more} }}\n'
            )
        (tmp_path / "mine.toml").write_text("".join(lines))
        return load(own=tmp_path / "mine.toml")

    return catalogue


@pytest.fixture
def run(toy: Any, tmp_path: Path) -> Path:
    return toy.run_dir(tmp_path / "run", toy.rows_of_a_run())


def part_of(
    folder: Path, catalogue: Catalogue, rate: float = SELDOM, draws: int = 4000, seed: int = 0
) -> dict[str, Any]:
    found: dict[str, Any] = systems_report(folder, catalogue, TWO, [rate], draws=draws, seed=seed)["tasks"]["toy"]
    return found


def test_probability_and_ratio_of_two_bands_in_closed_form(run: Path, resting: Callable[..., Catalogue]) -> None:
    # Log-uniform on 1 .. 4 and 2 .. 8 W, in units of ln 2: [0, 2] and [1, 3]; chip above board on an eighth
    (row,) = part_of(run, resting((1, 2, 4), (2, 4, 8)))["pairs"]
    assert row["probability"]["log-uniform"] == pytest.approx(7 / 8, abs=0.02)
    assert set(row["probability"]) == set(PRIORS) and row["ratio"] == pytest.approx(0.5, rel=1e-3)
    # Log-triangular with its mode in the middle is the sum of two uniforms, so ln ratio / ln 2 is four of them less 3, whose
    # distribution function begins as x^4 / 24
    end = (24 * 0.025) ** 0.25
    assert row["ratio_low"] == pytest.approx(2 ** (end - 3), rel=0.05)
    assert row["ratio_high"] == pytest.approx(2 ** (4 - end - 3), rel=0.05)


def test_constants_that_both_systems_share_leave_no_doubt(run: Path, resting: Callable[..., Catalogue]) -> None:
    (row,) = part_of(run, resting((1, 2, 4), (1.5, 3, 6), shared="one meter"))["pairs"]
    assert set(row["probability"].values()) == {1.0} and not undecided(row)
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx((2 / 3, 2 / 3), rel=1e-3)


def test_what_to_measure_is_in_order_of_worth(run: Path, resting: Callable[..., Catalogue]) -> None:
    # Equal bands: a coin is tossed. Who knows the chip is right in max(F, 1 - F) of the draws, F uniform: 3 of 4 on the whole
    part = part_of(run, resting((1, 2, 4), (1, 2, 4)))
    (found,) = part["decide"]
    assert undecided(part["pairs"][0]) and found["right_now"] == pytest.approx(0.5, abs=0.03)
    assert {row["what"] for row in found["worth"]} == {"loihi2.p_static", "orin_nano.p_idle"}
    for row in found["worth"]:
        assert row["variance_share"] == pytest.approx(0.5, abs=0.03)
        assert row["right_if_known"] == pytest.approx(0.75, abs=0.03)
        assert row["evidence"] == "D" and row["source"] == "by hand" and row["moves"] == [row["what"]]
    # Ten times as wide in logarithms: 100 of 101 parts of the variance
    (found,) = part_of(run, resting((1.9, 2, 2 * 2 / 1.9), (0.02, 2, 200)))["decide"]
    assert found["worth"][0]["what"] == "orin_nano.p_idle"
    assert found["worth"][0]["variance_share"] > 0.98


def test_sensitivity_moves_what_belongs_together(run: Path, resting: Callable[..., Catalogue]) -> None:
    (row,) = part_of(run, resting((1, 2, 4), (2, 3, 4)))["sensitivity"]
    widest, next_one = row["sensitivity"][:2]
    assert (widest["figure"], next_one["figure"]) == ("loihi2.p_static", "orin_nano.p_idle")
    assert (widest["at_low"], widest["at_high"]) == pytest.approx((1 / 3, 4 / 3), rel=1e-3) and widest["turns"]
    assert (next_one["at_low"], next_one["at_high"]) == pytest.approx((1.0, 0.5), rel=1e-3)
    # the shipped catalogue: one measurement's e_eq and p_static at one end, e_step at the other
    swings = part_of(run, energy.default(), rate=1e3)["sensitivity"][0]["sensitivity"]
    (together,) = [swing for swing in swings if swing["figure"] == "loihi2 PilotNet"]
    assert together["moves"] == ["loihi2.e_eq", "loihi2.p_static", "-loihi2.e_step"]
    assert not any("e_step" in swing["figure"] or "p_static" in swing["figure"] for swing in swings)


def test_what_a_gpu_draws_between_kernels_is_drawn_too(run: Path, resting: Callable[..., Catalogue]) -> None:
    # at 1 kHz, what the board draws between kernels is a part of the whole
    rate = 1e3
    part = part_of(run, energy.default(), rate=rate)
    swing = next(one for one in part["sensitivity"][0]["sensitivity"] if one["figure"] == BETWEEN)
    (row,) = (one for one in part["rows"] if one["system"] == "board")
    point = part["sensitivity"][0]["ratio"]
    assert swing["at_high"] < point <= swing["at_low"] and row["watts"]["high"] > row["watts"]["nominal"]
    known = resting((0.2, 0.2, 0.2), (4.6, 4.6, 4.6))
    assert BETWEEN in {one["what"] for one in part_of(run, known, rate=rate)["decide"][0]["worth"]}


# --- episodes ----------------------------------------------------------------------------------------------------------------


def front_row(counts: dict[str, Any], won: str) -> dict[str, Any]:
    """The front's row of the same run, with its episodes."""
    same = (
        "task",
        "method",
        "family",
        "budget",
        "reference",
        "threshold",
        "success",
        "ci95",
        "paired_vs_dense",
        "episodes",
    )
    own = {"kind": "front", "role": "front", "schedule": "batched", "synop_equivalents": 1.0, "joules": {}}
    return {**{key: counts[key] for key in same}, **own, "episodes_won": won}


ALL = "1" * 50
APART = "0" + "1" * 49  # .98: short of the margin in the draws that pick its first episode twice or more often


def run_with(toy: Any, folder: Path, cheap_won: str, *, kept: bool = True) -> Path:
    """Dense planners, an expensive spiking plan that wins always, and a cheap one that wins so."""
    rows = toy.rows_of_a_run()[:3]
    for row, budget, success in zip(rows, ("full", "full", "dear"), (1.0, 1.0, 1.0), strict=True):
        row |= {"budget": budget, "success": success, "ci95": [0.9, 1.0], "paired_vs_dense": [-0.02, 0.02]}
    rows[2] = toy.row_of("sigma_delta", toy.spiking_op_counts(20_000), success=1.0, budget="dear")
    success = cheap_won.count("1") / len(cheap_won)
    rows.append(toy.row_of("sigma_delta", toy.spiking_op_counts(), success=success, budget="cheap", role="front"))
    fronts = [front_row(row, cheap_won if row["budget"] == "cheap" else ALL) for row in rows] if kept else []
    return toy.run_dir(folder, [*rows, *fronts])


def spread(part: dict[str, Any]) -> float:
    (row,) = part["pairs"]
    return float(row["ratio_high"] / row["ratio_low"])


def test_other_episodes_widen_the_interval(toy: Any, tmp_path: Path, resting: Callable[..., Catalogue]) -> None:
    figures, rate = resting((1e-5, 1e-5, 1e-5), (3, 3, 3)), 5.0  # the work decides, not the rest
    sure = part_of(run_with(toy, tmp_path / "sure", ALL), figures, rate)
    doubt = part_of(run_with(toy, tmp_path / "doubt", APART), figures, rate)
    assert sure["episodes"] == doubt["episodes"] == KEPT
    for part in (sure, doubt):
        assert part["pairs"][0]["spiking_method"] == "sigma_delta cheap", (
            "at episodes as they were, both take the cheap plan"
        )
    assert sure["pairs"][0]["ratio"] == doubt["pairs"][0]["ratio"]
    assert spread(doubt) > 1.5 * spread(sure)
    plans = doubt["pairs"][0]["spiking_plans"]
    # the first episode is picked k times of 50, k binomial with mean 1; the margin lets one pass: P(k > 1.5) = .264
    assert plans["sigma_delta dear"] == pytest.approx(1 - 0.98**50 - 50 * 0.02 * 0.98**49, abs=0.025)
    worth = {row["what"]: row["variance_share"] for row in doubt["decide"][0]["worth"]}
    assert EPISODES not in {row["what"] for row in sure["decide"][0]["worth"]} and worth[EPISODES] > 0.3


def test_without_episodes_success_comes_of_its_interval(toy: Any, tmp_path: Path) -> None:
    folder = run_with(toy, tmp_path, APART, kept=False)
    methods = read_run(folder).methods["toy"]
    full = full_dense(methods)
    assert full is not None
    draws, how = reached(methods, full, draws=20_000, rng=np.random.default_rng(0))
    assert how == POSTERIOR and draws[0].all(), "the full planner is as good as itself"
    # .98 - 1 + .03 above the margin, and an interval of +-.02
    assert draws[3].mean() == pytest.approx(NormalDist(sigma=0.02 / 1.96).cdf(0.01), abs=0.01)
    methods[3].row.__dict__["paired_vs_dense"] = None
    apart, _ = reached(methods, full, draws=20_000, rng=np.random.default_rng(0))
    beta = np.random.default_rng(1).beta
    expected = (beta(49.5, 1.5, 20_000) - beta(50.5, 0.5, 20_000) >= -0.03).mean()
    assert apart[3].mean() == pytest.approx(expected, abs=0.01)


def test_episodes_stay_paired_and_few_count_as_few(toy: Any, tmp_path: Path) -> None:
    lost = "0" * 25 + "1" * 25
    rows = [toy.row_of(name, toy.dense_op_counts(name, "fp32"), success=0.5) for name in ("dense", "int8")]
    rows.append(toy.row_of("sigma_delta", toy.spiking_op_counts(), success=0.5))
    short = toy.row_of("lif", toy.spiking_op_counts(), success=1.0) | {"episodes": 10}
    folder = toy.run_dir(
        tmp_path,
        [
            *rows,
            short,
            front_row(rows[0], lost),
            front_row(rows[1], lost),
            front_row(rows[2], lost[::-1]),
            front_row(short, "1" * 10),
        ],
    )
    methods = read_run(folder).methods["toy"]
    assert [one.won for one in methods] == [lost, lost, lost[::-1], "1" * 10]
    (full, same, other, few), how = reached(methods, methods[0], draws=4000, rng=np.random.default_rng(0))
    assert how == KEPT and full.all() and same.all(), "the same episodes won: as good whatever is drawn"
    assert 0.5 < other.mean() < 0.75, "the other half won: a toss"
    assert few.mean() > 0.99
    del methods[1].__dict__["won"]
    object.__setattr__(methods[1], "won", "")
    assert reached(methods, methods[0], draws=10, rng=np.random.default_rng(0))[1] == BOTH


def test_a_front_that_does_not_fit_the_counts_is_no_evidence(toy: Any, tmp_path: Path) -> None:
    rows = toy.rows_of_a_run()
    folder = toy.run_dir(tmp_path, [*rows, front_row(rows[0], "1" * 49), front_row(rows[1], "x" * 50)])
    assert [one.won for one in read_run(folder).methods["toy"]] == ["", "", "", ""]


def test_seeds_reproduce(run: Path) -> None:
    first, again, other = (part_of(run, energy.default(), draws=200, seed=seed) for seed in (3, 3, 4))
    asked = systems_report(run, energy.default(), TWO, [SELDOM])
    assert asked["draws"] is None and asked["tasks"]["toy"]["pairs"] == asked["tasks"]["toy"]["decide"] == []
    assert asked["tasks"]["toy"]["rows"] == first["rows"]
    with pytest.raises(UserError, match="0 draws: at least one is needed"):
        systems_report(run, energy.default(), TWO, [SELDOM], draws=0)
    assert first == again and first["pairs"] != other["pairs"] and first["rows"] == other["rows"]


# --- plans -------------------------------------------------------------------------------------------------------------------


def plans(system: System, watts: list[list[float]], reached: list[list[int]]) -> Plans:
    """Watts (plans, draws), the same under all priors."""
    of_prior = np.repeat(np.array(watts)[:, None], len(PRIORS), axis=1)
    names = [f"plan {number}" for number in range(len(watts))]
    return Plans(
        system=system,
        rate_hz=1.0,
        names=names,
        watts=of_prior,
        reached=np.array(reached, bool),
        best=names[0],
        nominal=1.0,
        price=lambda catalogue: pytest.fail("not priced again"),
    )


def test_each_draw_takes_the_cheapest_plan_that_is_good_enough_and_in_time() -> None:
    late = np.inf
    ours = plans(CHIP, [[1, 1, 1, late], [2, 0.5, 2, late]], [[1, 1, 0, 1], [1, 0, 1, 1]])
    other = plans(BOARD, [[1.5, 1.5, 1.5, 1.5]], [[1, 1, 1, 1]])
    assert ours.least()[0].tolist() == [1, 1, 2, late]
    assert ours.chosen() == {"plan 0": 0.5, "plan 1": 0.25}
    (row,) = pair_rows([ours, other])
    assert row["probability"]["log-uniform"] == pytest.approx(2 / 3), "of the draws in which both have a plan"
    assert (row["spiking_only"], row["dense_only"]) == (0.0, 0.25)
    (row,) = pair_rows([plans(CHIP, [[late] * 4], [[1] * 4]), other])
    assert row["probability"]["log-uniform"] is None and row["ratio_low"] is None and row["dense_only"] == 1.0
    assert undecided(row), "more than one draw of 40 leaves a system without a plan"


def test_a_plan_that_is_beaten_whatever_is_drawn_is_left_out() -> None:
    watts = np.array([[[2.0, 2.0]], [[1.0, 1.0]], [[3.0, 0.5]], [[2.0, 2.0]], [[4.0, 4.0]]])
    good = np.array([[1, 1], [1, 0], [1, 1], [1, 1], [1, 0]], bool)
    assert sorted(contenders(watts, good)) == [0, 1, 2]


def test_the_draws_hold_every_figure_and_the_readings() -> None:
    drawn = sample(energy.default(), draws=7, rng=np.random.default_rng(0))
    assert drawn.catalogue.device("loihi2").figure("p_static").band.nominal.shape == (len(PRIORS), 7)
    assert {BETWEEN, "loihi2 PilotNet", "picamera2.p_idle"} <= set(drawn.at) and drawn.at[BETWEEN].shape == (7,)
