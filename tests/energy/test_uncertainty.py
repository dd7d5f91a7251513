"""Draws against their closed forms; what both methods share cancels; which figure turns a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import Band, default, estimate
from spikeplan.energy.catalogue import Catalogue, Figure
from spikeplan.energy.uncertainty import (
    PRIORS,
    at_quantile,
    draw,
    draw_priors,
    probability,
    quantiles,
    quantities,
    sensitivity,
)

DENSE = CountRow(
    method="d",
    phase="predictor",
    layer="h",
    reference="zero",
    schedule="batched",
    precision="int8",
    macs=2 * 10**8,
    weight_bytes=0,
)
SPIKES = CountRow(
    method="s",
    phase="predictor",
    layer="h",
    reference="zero",
    schedule="interleaved",
    precision="int8",
    synops=10**7,
    updates_idle=10**5,
    weight_bytes=0,
    chip_steps=100,
)


def joules(device: str, row: CountRow, scope: str = "system"):
    return lambda catalogue: estimate(device, [row], 1, scope=scope, extent="loop", catalogue=catalogue).nominal


def drawn(prior: str, seed: int = 0, draws: int = 40_000) -> Catalogue:
    return draw(default(), prior=prior, draws=draws, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("prior", PRIORS)
def test_draws_stay_in_their_band_and_have_the_priors_mean(prior: str):
    # In logarithms: a triangle's mean is (a + c + b) / 3, a uniform's (a + b) / 2
    band = default().device("loihi2").figure("e_eq").band
    found = np.log(drawn(prior).device("loihi2").figure("e_eq").band.nominal)
    a, c, b = np.log(band.bounds())
    mode = {"mode-low": (a + c) / 2, "mode-high": (b + c) / 2}.get(prior, c)
    mean = (a + b) / 2 if prior == "log-uniform" else (a + mode + b) / 3
    assert found.min() >= a and found.max() <= b
    assert found.mean() == pytest.approx(mean, abs=4 * (b - a) / np.sqrt(24 * len(found)))


def test_the_same_seed_draws_the_same_and_another_does_not():
    first, again, other = (drawn("log-uniform", seed).device("h100").figure("eta").band.nominal for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_shared_figures_are_drawn_once():
    catalogue = drawn("log-triangular", draws=100)
    assert np.array_equal(
        catalogue.device("h100").figure("eta").band.nominal, catalogue.device("orin_nano").figure("eta").band.nominal
    )
    one, machine = (catalogue.device(name).figure("e_eq").band.nominal for name in ("loihi2", "hala_point"))
    assert np.array_equal(one, machine)
    static = catalogue.device("loihi2").figure("p_static").band.nominal
    assert np.array_equal(one.argsort(), static.argsort()), "measured together, drawn together"


def test_what_both_methods_pay_on_the_same_device_cancels():
    # The spiking method is the dense one plus a hair: drawn jointly it never wins, drawn apart it would in half the draws.
    more = replace(DENSE, macs=DENSE.macs + 1000)
    assert probability(joules("orin_nano", more), joules("orin_nano", DENSE), drawn("log-uniform")) == 0.0
    assert probability(joules("orin_nano", DENSE), joules("orin_nano", more), drawn("log-uniform")) == 1.0


def test_probability_against_a_closed_form():
    # Scope compute: e_eq x 1.1e7 against a fixed 2e8 MACs on h100: spikes win where e_eq < x. Under log-uniform
    # P = ln(x / low) / ln(high / low).
    fixed = estimate("h100", [DENSE], 1, scope="compute", extent="loop").nominal
    x, band = fixed / 1.1e7, default().device("loihi2").figure("e_eq").band
    expected = np.log(x / band.low) / np.log(band.high / band.low)
    found = probability(joules("loihi2", SPIKES, "compute"), joules("h100", DENSE, "compute"), drawn("log-uniform"))
    assert 0.2 < expected < 0.9 and found == pytest.approx(expected, abs=0.01)


def test_sensitivity_name_the_figure_that_turns_the_verdict():
    # Scope compute, e_eq alone has a band: 1.1e7 x (9.1 .. 22.4) pJ against 2e8 x 0.7075 pJ = 141.5 uJ
    found = sensitivity(joules("loihi2", SPIKES, "compute"), joules("h100", DENSE, "compute"), default())
    assert [swing.figure for swing in found] == ["loihi2 PilotNet"]
    assert (found[0].at_low, found[0].at_high) == pytest.approx((100.1 / 141.5, 246.4 / 141.5), rel=1e-3)
    assert found[0].turns and found[0].span == pytest.approx(np.log(22.4 / 9.1))
    wide = sensitivity(joules("loihi2", SPIKES), joules("h100", DENSE), default())
    assert {"loihi2 PilotNet", "loihi2 t_synop", "eta"} <= {swing.figure for swing in wide}
    assert [s.span for s in wide] == sorted((s.span for s in wide), reverse=True)


def test_an_opposed_figure_takes_what_the_other_lacks():
    # Under log-uniform a quantile is the place in the band: e_step is at 1 - u where p_static is at u.
    chip = drawn("log-uniform", draws=1000).device("loihi2")
    places = {}
    for name in ("e_eq", "p_static", "e_step"):
        low, _, high = np.log(default().device("loihi2").figure(name).band.bounds())
        places[name] = (np.log(chip.figure(name).band.nominal) - low) / (high - low)
    assert places["e_eq"] == pytest.approx(places["p_static"])
    assert places["e_step"] == pytest.approx(1 - places["p_static"]) and places["e_step"].std() > 0.2
    assert "loihi2.e_step" not in quantities(default())


def test_priors_are_asked_at_the_same_quantiles_and_sensors_are_drawn():
    at = quantiles(default(), 50, np.random.default_rng(0))
    together = draw_priors(default(), at)
    camera, band = (one.sensors["picamera2"].figure("p_idle").band for one in (together, default()))
    assert camera.nominal.shape == (4, 50) and band.low < band.high
    for prior, row in zip(PRIORS, camera.nominal, strict=True):
        assert np.array_equal(row, at_quantile(band, at["picamera2.p_idle"], prior))
    assert np.array_equal(camera.nominal.argsort(axis=1)[0], camera.nominal.argsort(axis=1)[1])


def by_hand(**figures: Figure) -> Catalogue:
    """One machine of these figures."""
    chip = default().device("loihi2")
    return replace(default(), devices={"toy": replace(chip, name="toy", figures=figures)}, sensors={})


def figure(name: str, low: float, nominal: float, high: float, **more: str) -> Figure:
    return Figure(name=name, band=Band(low, nominal, high), unit="J", source="by hand", evidence="D", **more)


def of(name: str) -> Callable[[Catalogue], Any]:
    return lambda catalogue: catalogue.device("toy").figure(name).band.nominal


def test_probability_of_two_bands_in_closed_form():
    # x on [1, 4] and y on [2, 8], log-uniform, in units of ln 2: X on [0, 2], Y on [1, 3]. X > Y on a triangle of side 1: 1 / 8.
    bands = by_hand(x=figure("x", 1, 2, 4), y=figure("y", 2, 4, 8))
    both = draw(bands, prior="log-uniform", draws=100_000, rng=np.random.default_rng(0))
    assert probability(of("x"), of("y"), both) == pytest.approx(7 / 8, abs=0.004)
    # Together x is always half of y; opposed X = u, Y = 3 - u in the same units: X < Y where u < 1.5, 3 quarters of [0, 2]
    for more, expected in (({"shared": "it"}, 1.0), ({"opposed": "it"}, 0.75)):
        bands = by_hand(x=figure("x", 1, 2, 4, shared="it"), y=figure("y", 2, 4, 8, **more))
        drawn_together = draw(bands, prior="log-uniform", draws=100_000, rng=np.random.default_rng(0))
        assert probability(of("x"), of("y"), drawn_together) == pytest.approx(expected, abs=0.005)


def test_what_moves_together_turns_an_order_that_no_figure_alone_turns():
    # Spikes take a + b = 1 .. 4 J, 2 J nominal; dense 3 J. With a alone at its high end they take 3 - 0.1 J.
    def spiking(catalogue: Catalogue) -> Any:
        return of("a")(catalogue) + of("b")(catalogue)

    def dense(catalogue: Catalogue) -> float:
        return 3.0

    def swings(**more: str) -> dict[str, bool]:
        found = sensitivity(
            spiking, dense, by_hand(a=figure("a", 0.5, 1, 1.9, **more), b=figure("b", 0.5, 1, 1.9, **more))
        )
        return {swing.figure: swing.turns for swing in found}

    assert swings() == {"toy.a": False, "toy.b": False}
    assert swings(shared="one measurement") == {"one measurement": True}
    opposed = by_hand(a=figure("a", 0.5, 1, 1.9, shared="total"), b=figure("b", 0.5, 1, 1.9, opposed="total"))
    (swing,) = sensitivity(spiking, dense, opposed)
    assert (swing.at_low, swing.at_high, swing.turns) == pytest.approx((0.8, 0.8, False)), (
        "what one takes the other lacks"
    )


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="toy.x: is shared .p. and opposed .q.; give one of them"):
        quantities(by_hand(x=figure("x", 1, 2, 4, shared="p", opposed="q")))
    with pytest.raises(UserError, match="prior 'flat' is unknown"):
        drawn("flat")
    with pytest.raises(UserError, match="0 draws"):
        drawn("log-uniform", draws=0)
    assert Band(1.0, 2.0, 3.0).bounds() == (1.0, 2.0, 3.0)
