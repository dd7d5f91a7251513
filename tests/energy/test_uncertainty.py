"""Draws against their closed forms; what both methods share cancels; which figure turns a verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import Band, default, estimate
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.uncertainty import PRIORS, draw, probability, sensitivity

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


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="prior 'flat' is unknown"):
        drawn("flat")
    with pytest.raises(UserError, match="0 draws"):
        drawn("log-uniform", draws=0)
    assert Band(1.0, 2.0, 3.0).bounds() == (1.0, 2.0, 3.0)
