"""Break-even density: the worked values of the facts, and what the CPU meter reads."""

from __future__ import annotations

import pytest

from spikeplan.core.errors import UserError
from spikeplan.energy import break_even, default, measure_peak, network_break_even

HEAD = (66, 256, 256, 64)  # 98,816 MACs, 576 neurons: 576 x 10 / 98,816 = 0.0583 synop-equivalents of updates a MAC


@pytest.mark.parametrize(
    ("device", "precision", "first", "s_star"),
    [
        ("h100", "int8", 0.040, -0.018),
        ("h100", "fp16", 0.080, 0.022),
        ("orin_nano", "int8", 0.085, 0.026),
        ("digital45", "fp32", 0.261, 0.203),
        ("digital45", "int8", 0.013, -0.045),
    ],
)
def test_against_loihi2(device: str, precision: str, first: float, s_star: float):
    # first: e_mac / 17.6 pJ with e_mac 0.7075, 1.415, 1.4925, 4.6, 0.23 pJ; s*: less 0.0583
    result = network_break_even(HEAD, dense_device=device, precision=precision)
    assert result.first_term == pytest.approx(first, abs=6e-4)
    assert result.update_term == pytest.approx(5760 / 98_816)
    assert result.s_star == pytest.approx(s_star, abs=1e-3)
    assert result.sparsity_helps == (s_star > 0)


@pytest.mark.parametrize(
    ("device", "precision", "first"),
    [
        ("digital45", "fp32", 0.195),
        ("digital45", "int8", 0.0097),
        ("h100", "fp16", 0.060),
        ("orin_nano", "int8", 0.063),
    ],
)
def test_first_term_against_loihi1(device: str, precision: str, first: float):
    # e_mac / 23.6 pJ; the update term is 52 / 23.6 x 576 / 98,816 = 0.0128
    result = network_break_even(HEAD, dense_device=device, precision=precision, spiking_device="loihi1")
    assert result.first_term == pytest.approx(first, rel=1e-2)
    assert result.update_term == pytest.approx(52 / 23.6 * 576 / 98_816)


def test_the_4090_bound():
    e_mac = default().reference["rtx4090_planner_mac"].band.nominal
    for e_syn, first in ((23.6e-12, 0.47), (17.6e-12, 0.625)):
        assert break_even(e_mac=e_mac, e_syn=e_syn, e_upd=0, steps=1, fan_in=1).s_star == pytest.approx(first, abs=5e-3)


def test_static_power_and_the_sequential_schedule_close_the_window():
    # One evaluation of 40 us at 0.232 W = 9.28 uJ against 98,816 x 17.6 pJ = 1.739 uJ: 5.3 messages a synapse
    best = network_break_even(HEAD, dense_device="orin_nano", precision="int8")
    timed = network_break_even(HEAD, dense_device="orin_nano", precision="int8", time_s=40e-6)
    assert timed.static_term == pytest.approx(9.28e-6 / 1.739e-6, rel=1e-3) and not timed.sparsity_helps
    sequential = network_break_even(HEAD, dense_device="orin_nano", precision="int8", steps=3)
    assert sequential.update_term == pytest.approx(3 * best.update_term) and not sequential.sparsity_helps


def test_s_star_is_where_both_energies_meet():
    # E_snn = M s e_syn + (M / F) T e_upd + P t must equal M e_mac at s = s*
    e_mac, e_syn, e_upd, steps, fan_in, static_j, macs = 3.0, 2.0, 5.0, 4.0, 50.0, 7.0, 1000.0
    s = break_even(
        e_mac=e_mac, e_syn=e_syn, e_upd=e_upd, steps=steps, fan_in=fan_in, static_j=static_j, macs=macs
    ).s_star
    assert macs * s * e_syn + macs / fan_in * steps * e_upd + static_j == pytest.approx(macs * e_mac)


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="fan_in is 0"):
        break_even(e_mac=1, e_syn=1, e_upd=1, steps=1, fan_in=0)
    with pytest.raises(UserError, match="not a spiking chip"):
        network_break_even(HEAD, dense_device="h100", precision="int8", spiking_device="h100")
    with pytest.raises(UserError, match="no energy per MAC"):
        network_break_even(HEAD, dense_device="cpu", precision="fp32")
    with pytest.raises(UserError, match="widths"):
        network_break_even((66,), dense_device="h100", precision="int8")


def test_measure_peak_is_a_plausible_machine():
    peak = measure_peak(size=256, repeats=2, copy_bytes=8 << 20, power_w=12.0)
    assert 1e8 < peak.flop_per_s < 1e15 and 1e8 < peak.bytes_per_s < 1e13
    assert peak.cores >= 1 and peak.power_w == 12.0
