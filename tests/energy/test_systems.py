"""Mean watts of whole systems, by hand and beside an independent recomputation of the same counts; files that make no sense."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import Setup, default, estimate
from spikeplan.energy.catalogue import Band
from spikeplan.energy.systems import Part, System, draw_of, load_systems

DENSE = CountRow(
    method="d",
    phase="predictor",
    layer="h",
    reference="zero",
    schedule="batched",
    precision="int8",
    macs=26_700_000,
    weight_bytes=14_000,
)
SPIKES = replace(
    DENSE, schedule="interleaved", macs=0, weight_bytes=0, synops=10_600_000, updates_idle=1_100_000, chip_steps=300
)
ENCODER = replace(DENSE, phase="encoder", layer="vit", macs=1_000_000, weight_bytes=400_000)
TIME = Band(1.2e-3, 2.41e-3, 4.8e-3)
SYSTEMS = load_systems()


def watts(name: str, *rows: CountRow, rate: float, **settings: Band) -> Band:
    setup = Setup(**settings) if settings else None
    return draw_of(SYSTEMS[name], rows, 1, rate_hz=rate, catalogue=default(), setup=setup).watts


def test_watts_by_hand() -> None:
    # 26.7 MMAC x 2.2 / 6.6 / 19.9 pJ, 10 times a second; asleep 1 uW, or 28.9 mW while it is not busy
    npu = watts("npu", DENSE, rate=10)
    waking = [2.2 / 77 * 0.2e-3, 6.6 / 280 * 1.2e-3, 19.9 / 1030 * 2.5e-3]  # at the power that it draws at work
    assert npu.low == pytest.approx(10 * (26.7e6 * 2.2e-12 + waking[0]) + 1e-6, rel=1e-3)
    assert npu.nominal == pytest.approx(10 * (26.7e6 * 6.6e-12 + waking[1]) + 1e-6, rel=1e-3)
    # the high end never sleeps: 28.9 mW, more than the 19.9 / 1030 W that the same reading draws at work, so always 28.9
    assert npu.high == pytest.approx(28.9e-3) and waking[2] * 1e6 < 28.9 * 2.5e3
    assert watts("npu", DENSE, rate=100).high == pytest.approx(28.9e-3), "busy all the time, and no more"
    # 21.6 M synop-equivalents x 17.6 pJ and 300 steps x 0.386 uJ, static power all the time; 1 MMAC on the microcontroller
    chip = watts("npu-loihi2", SPIKES, ENCODER, rate=10, time_s=TIME)
    assert chip.nominal == pytest.approx(
        0.232 + 10 * (21.6e6 * 17.6e-12 + 300 * 0.386e-6 + 6.6e-6 + waking[1]) + 1e-6, rel=1e-4
    )
    # one kernel: 53.4 Mop at half of 33.5 Top/s and 1.3 us; 25 W while it works, 4.6 W while it waits and between actions
    gpu, busy = watts("orin", DENSE, rate=10), 2 * 26.7e6 / (0.5 * 33.5e12)
    assert gpu.nominal == pytest.approx(10 * (25 * busy + 4.6 * 1.3e-6) + 4.6 * (1 - 10 * (busy + 1.3e-6)))
    assert gpu.low < gpu.nominal < gpu.high


def test_latency_adds_machines_and_waking() -> None:
    found = draw_of(
        SYSTEMS["npu-loihi2"], [SPIKES, ENCODER], 1, rate_hz=10, catalogue=default(), setup=Setup(time_s=TIME)
    )
    assert found.latency_s.nominal == pytest.approx(2.41e-3 + 1e6 * 0.28e-9 + 1.2e-3)
    assert sum(band.nominal for band in found.by.values()) == pytest.approx(found.watts.nominal)
    assert set(found.by) == {"loihi2", "gap9"} and found.rests["loihi2"].nominal == 0.232


def drawn(name: str, rate: float):
    rows, settings = ((DENSE,), {}) if SYSTEMS[name].side == "dense" else ((SPIKES, ENCODER), {"time_s": TIME})
    return draw_of(SYSTEMS[name], rows, 1, rate_hz=rate, catalogue=default(), setup=Setup(**settings))


@pytest.mark.parametrize("name", SYSTEMS)
def test_more_actions_never_draw_less(name: str) -> None:
    found = [drawn(name, rate).watts for rate in (0.1, 1, 3, 10, 30, 100)]
    for slow, fast in itertools.pairwise(found):
        assert all(a <= b * (1 + 1e-12) for a, b in zip(slow.bounds(), fast.bounds(), strict=True)), (slow, fast)


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_action_takes_what_it_adds_to_the_watts(name: str) -> None:
    one, ten = drawn(name, 1), drawn(name, 10)
    assert (ten.watts.nominal - one.watts.nominal) / 9 == pytest.approx(one.action_J.nominal)
    resting = sum(band.nominal for band in one.rests.values())
    assert one.watts.nominal == pytest.approx(resting + one.action_J.nominal)
    assert one.action_J.low <= one.action_J.nominal <= one.action_J.high


def test_an_action_above_rest_by_hand() -> None:
    # operations 21.6 M x 9.1 / 17.6 / 22.4 pJ; 300 steps x 0.64 / 0.386 / 0.12 uJ: low static power leaves more for steps
    alone = System(name="alone", title="alone", side="spiking", parts=(Part(device="loihi2", does="plan"),))
    found = draw_of(alone, [SPIKES], 1, rate_hz=10, catalogue=default(), setup=Setup(time_s=TIME))
    by_hand = [21.6e6 * e + 300 * step for e, step in ((9.1e-12, 0.64e-6), (17.6e-12, 0.386e-6), (22.4e-12, 0.12e-6))]
    assert found.action_J.bounds() == pytest.approx(by_hand)
    assert found.watts.bounds() == pytest.approx(
        [static + 10 * joules for static, joules in zip((0.09, 0.232, 0.382), by_hand, strict=True)]
    )
    # in a system that makes 565,000 steps a second and nothing else, all three readings are the one measured total
    idle = replace(SPIKES, synops=1, updates_idle=1, chip_steps=565_000)
    busy = draw_of(alone, [idle], 1, rate_hz=1, catalogue=default(), setup=Setup(time_s=Band(0.5, 0.5, 0.5)))
    assert busy.watts.bounds() == pytest.approx([0.45] * 3, rel=0.02)


@pytest.mark.parametrize(
    ("name", "rate", "low", "nominal", "high"),
    [  # recomputed from these counts by others, from published figures: MACs of the dense side, equivalents of the spiking one
        ("npu", 10, 0.0006, 0.002, 0.029),
        ("npu-loihi2", 10, 0.092, 0.236, 0.416),
        ("orin", 10, 2.18, 4.64, 4.69),
        ("orin-loihi2", 10, 2.27, 4.84, 5.04),
        ("h100", 10, 68, 70, 73),
        ("npu", 50, 0.003, 0.009, 0.029),
        ("npu-loihi2", 50, 0.100, 0.254, 0.435),
        ("orin", 50, 2.19, 4.80, 4.85),
        ("orin-loihi2", 50, 2.28, 4.86, 5.06),
        ("h100", 50, 69, 71, 75),
    ],
)
def test_the_order_of_systems_that_others_found(
    name: str, rate: float, low: float, nominal: float, high: float
) -> None:
    """Nominal watts lie in their band, and within 6 % of their nominal but for the NPU's rounding."""
    rows, settings = ((DENSE,), {}) if SYSTEMS[name].side == "dense" else ((SPIKES, ENCODER), {"time_s": TIME})
    found = watts(name, *rows, rate=rate, **settings)
    assert low * 0.98 <= found.nominal <= high
    assert found.nominal == pytest.approx(nominal, rel=0.15 if name == "npu" else 0.06)


def test_what_cannot_be_is_one_line() -> None:
    with pytest.raises(
        UserError, match=r"system npu: an action takes 8.68 ms, more than a period at 200 Hz; lower the rate"
    ):
        watts("npu", DENSE, rate=200)
    with pytest.raises(UserError, match="rate 0 Hz: give actions a second"):
        watts("npu", DENSE, rate=0)
    bare = System(name="bare", title="bare", side="spiking", parts=(Part(device="loihi2", does="plan"),))
    with pytest.raises(UserError, match="system bare: nothing runs encoder; add a machine that encodes"):
        draw_of(bare, [SPIKES, ENCODER], 1, rate_hz=1, catalogue=default())
    assert draw_of(bare, [SPIKES], 1, rate_hz=1, catalogue=default()).watts.nominal > 0.232
    for device, rest, message in (
        (
            "thor",
            "idle",
            r"machine 'thor': no state 'idle' \(not found in a source\); give p_idle in --devices FILE, or let",
        ),
        (
            "orin_nano",
            "sleep",
            "machine 'orin_nano': no state 'sleep'.* give p_sleep .* a state that it has: idle, active",
        ),
        ("orin_nano", "off", "machine 'orin_nano': no state 'off'"),
        ("jepa_r", "idle", "an? asic has no states to rest in"),
    ):
        odd = System(name="odd", title="odd", side="dense", parts=(Part(device=device, does="plan", rest=rest),))
        with pytest.raises(UserError, match=message):
            draw_of(odd, [DENSE], 1, rate_hz=1, catalogue=default())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("side = 3", "not a TOML|machines is None|side"),
        ('side = "dense"\nmachines = 3', "machines is 3; write a table"),
        ('side = "dense"\n[[machines]]\ndevice = 3', "machine 1: device is 3; name one of"),
        (
            'side = "both"\n[[machines]]\ndevice = "h100"\ndoes = "plan"',
            "the file: side is 'both'; use dense or spiking",
        ),
        ('side = "dense"\n[[machines]]\ndevice = "h100"\ndoes = "encode"', "machines that plan: 0, that encode: 1"),
        ('side = "dense"\n[[machines]]\ndevice = "h100"\ndoes = "plan"\nnaps = 1', "machine 1: unknown keys naps"),
        ('side = "dense"\ntitle = 3\n[[machines]]\ndevice = "h100"\ndoes = "plan"', "title is 3; write a text"),
        ("side = ", "not a TOML file"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_systems(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_npu_takes_what_fits_and_is_int8() -> None:
    assert estimate("gap9", [DENSE], 1, scope="system", extent="loop").nominal == pytest.approx(26.7e6 * 6.6e-12)
    with pytest.raises(UserError, match="2,000,000 bytes of weights do not fit the 1,500,000 of 'gap9'"):
        estimate("gap9", [replace(DENSE, weight_bytes=2_000_000)], 1, scope="system", extent="loop")
    with pytest.raises(UserError, match="layer 'h': 'gap9' computes in int8, the row is fp32; quantise it"):
        estimate("gap9", [replace(DENSE, precision="fp32")], 1, scope="system", extent="loop")
