"""What nobody counted is refused by the layer's name; a network lies on as many chips as its weights fill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spikeplan.core.counts.operations import CountRow, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.energy import Setup, default, estimate
from spikeplan.energy.fit import room

SPIKES = CountRow(
    method="s",
    phase="predictor",
    layer="h",
    reference="zero",
    schedule="interleaved",
    precision="int8",
    synops=1000,
    updates_idle=100,
    weight_bytes=100_000,
    state_bytes=600,
    chip_steps=1,
)
DENSE = replace(SPIKES, method="d", schedule="batched", synops=0, updates_idle=0, chip_steps=0, macs=1000)
LOIHI2 = default().device("loihi2")


def price(device: str, row: CountRow, **settings: int) -> float:
    return estimate(device, [row], 1, scope="system", extent="loop", setup=Setup(**settings)).nominal


@pytest.mark.parametrize("device", ["h100", "orin_nano", "gap9", "jepa_r", "digital45"])
def test_a_dense_layer_without_weight_bytes_is_refused(device: str) -> None:
    assert price(device, DENSE) > 0
    assert price(device, replace(DENSE, weight_bytes=0)) > 0, "a product of two activations stores nothing"
    with pytest.raises(UserError, match=f"method 'd', layer 'h': weight bytes were never given, and '{device}' reads"):
        price(device, replace(DENSE, weight_bytes=None))


def test_a_layer_that_was_never_given_memory_is_named() -> None:
    counts = OperationCounts(method="mlp", reference="zero", precision="int8", spiking=False)
    counts.add("predictor", LayerCounts(layer="h7", macs=10, dense_macs=10, calls=1))
    counts.actions = 1
    with pytest.raises(UserError, match="method 'mlp', layer 'h7': weight bytes were never given"):
        estimate("h100", counts.rows("batched"), 1, scope="system", extent="loop")


@pytest.mark.parametrize("device", ["loihi2", "loihi1", "hala_point", "loihi1_sanafe"])
def test_a_spiking_layer_without_weights_or_steps_is_refused(device: str) -> None:
    with pytest.raises(UserError, match=f"layer 'h': weight bytes were never given, .* '{device}'"):
        price(device, replace(SPIKES, weight_bytes=None))
    with pytest.raises(UserError, match=f"chip steps were never given, so its time on '{device}'"):
        price(device, replace(SPIKES, chip_steps=None))
    assert price(device, replace(SPIKES, weight_bytes=None), chips=1, cores=1) > 0, "placed by the caller"


def test_weights_fill_cores_and_cores_fill_chips() -> None:
    # 192,000 bytes a core, 120 cores a chip: 23 MB fill 120 cores, a byte more takes another chip
    assert room(LOIHI2, [SPIKES, replace(SPIKES, layer="g")], Setup()).cores == 2
    full = replace(SPIKES, weight_bytes=120 * 192_000, state_bytes=0)
    assert (room(LOIHI2, [full], Setup()).chips, room(LOIHI2, [full], Setup()).cores) == (1, 120)
    over = replace(full, state_bytes=1)
    assert (room(LOIHI2, [over], Setup()).chips, room(LOIHI2, [over], Setup()).cores) == (2, 121)
    static = 0.72 * 5.8e-6 + 0.386e-6  # of each chip and step: several wait for each other, and rest with their board
    assert price("loihi2", over) == pytest.approx(2 * static + 17.6e-12 * (1000 + 10 * 100))
    with pytest.raises(UserError, match=r"fill 121 cores, 1 chip of 'loihi2' have 120; take a smaller network"):
        price("loihi2", over, chips=1)


def test_what_no_machine_holds_is_refused() -> None:
    huge = replace(SPIKES, weight_bytes=30 * 10**9)  # 1303 chips, Hala Point has 1152
    for device in ("loihi2", "hala_point"):
        with pytest.raises(UserError, match=r"fill 156,\d\d\d cores, 1152 chips of"):
            price(device, huge)


def test_a_layer_with_weights_takes_cores_though_its_neurons_are_booked_elsewhere() -> None:
    apart = [replace(SPIKES, weight_bytes=0), replace(SPIKES, layer="g", updates_idle=0, weight_bytes=30_000_000)]
    assert room(LOIHI2, apart, Setup()).chips == 2, "30 MB fill 157 cores"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"chips": 1, "cores": 1000}, "1,000 cores: 1 of 'loihi2' have 120"),
        ({"chips": 1.5}, "chips is 1.5; give a whole number"),
        ({"eta": 1e-320}, "is no share that a machine reaches"),
        ({"cores": 1e-320}, "give a whole number"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings: dict, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        price("loihi2", SPIKES, **settings)


def test_cores_that_fill_more_chips_turn_them_on() -> None:
    assert room(LOIHI2, [SPIKES], Setup(cores=121)).chips == 2
    with pytest.raises(UserError, match="references mean_candidate, zero: a method runs on one"):
        rows = [SPIKES, replace(SPIKES, reference="mean_candidate")]
        estimate("loihi2", rows, 1, scope="system", extent="loop")
    with pytest.raises(UserError, match="both must be > 0"):
        estimate("h100", [DENSE], float("nan"), scope="system", extent="loop")  # type: ignore[arg-type]
