"""Spiking networks of four libraries, counted by hand; a loop around a call; the rows of whole systems."""

from __future__ import annotations

import pytest
import snntorch
import torch
from torch import Tensor, nn

import spikeplan as sp
from spikeplan.core.errors import UserError
from spikeplan.worldmodel.mac_counter import count_macs

ONES, STEPS, ROWS = 3, 4, 2


def filled(layer: nn.Module, value: float) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


class Steps(nn.Module):
    """Two layers, STEPS steps: the first fires at every step, the second never."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = filled(nn.Linear(5, 7), 1.0), filled(nn.Linear(7, 6), 0.0)
        self.fire, self.rest = snntorch.Leaky(beta=0.0, threshold=0.5), snntorch.Leaky(beta=0.0, threshold=0.5)

    def forward(self, x: Tensor) -> Tensor:
        a = b = None
        for _ in range(STEPS):
            spikes, a = self.fire(self.first(x), a)
            out, b = self.rest(self.second(spikes), b)
        return out


def some(*shape: int) -> Tensor:
    """ONES spikes a row of the last axis."""
    x = torch.zeros(*shape)
    x[..., :ONES] = 1.0
    return x


def check(profile: sp.profile, *, second_fires: bool = False) -> None:
    """By hand: 3 of 5 inputs meet 7 weights each, all 7 neurons of the first layer fire and meet 6, at each step of each row."""
    rows = {row.layer: row for row in profile.op_counts.rows("interleaved")}
    first, second = (rows[name] for name in rows if name not in ("input", "inputs"))
    runs = STEPS * ROWS
    assert (first.synops, second.synops) == (runs * ONES * 7, runs * 7 * 6)
    assert (first.updates, second.updates) == (runs * 7, runs * 6)
    assert (first.updates_active, first.messages, first.message_bits) == (runs * 7,) * 3
    assert second.messages == (runs * 6 if second_fires else 0)
    assert (first.dense_macs, second.dense_macs) == (runs * 35, runs * 42)
    assert first.state_bytes == 6 * 7 and second.state_bytes == 6 * 6
    assert profile.op_counts.actions == ROWS
    steps = sum(row.chip_steps or 0 for row in profile.op_counts.rows("interleaved"))
    assert steps == STEPS * ROWS
    assert sum(row.chip_steps or 0 for row in profile.op_counts.rows("sequential")) == (STEPS + 1) * ROWS


def test_snntorch_by_hand() -> None:
    found = sp.profile(Steps(), some(ROWS, 5))
    check(found)
    assert found.op_counts.memory["first"] == (5 * 7 + 7, 6 * 7)
    assert {row.layer: row.messages for row in found.op_counts.rows("interleaved")}["input"] == ROWS * ONES
    assert found.density == {"first": ONES / 5, "second": 1.0}


def test_norse_by_hand() -> None:
    norse = pytest.importorskip("norse.torch")
    fires = norse.LIFParameters(v_th=torch.tensor(1e-6), tau_mem_inv=1000.0, tau_syn_inv=1000.0)
    never = norse.LIFParameters(v_th=torch.tensor(1e9))
    net = norse.SequentialState(
        filled(nn.Linear(5, 7), 1.0), norse.LIF(fires), filled(nn.Linear(7, 6), 0.0), norse.LIF(never)
    )
    found = sp.profile(net, some(STEPS + 1, ROWS, 5))
    # Norse integrates a current before it fires: the first of the STEPS + 1 steps is silent
    rows = {row.layer: row for row in found.op_counts.rows("interleaved")}
    assert rows["0"].synops == (STEPS + 1) * ROWS * ONES * 7 and rows["0"].updates == (STEPS + 1) * ROWS * 7
    assert rows["2"].synops == rows["0"].messages * 6 > 0
    assert found.op_counts.actions == ROWS and found.op_counts.interleaved_steps == STEPS + 1


@pytest.mark.parametrize("mode", ["s", "m"])
def test_spikingjelly_by_hand(mode: str) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron", exc_type=ImportError)
    layer = pytest.importorskip("spikingjelly.activation_based.layer", exc_type=ImportError)

    def fires(threshold: float) -> nn.Module:
        return neuron.IFNode(v_threshold=threshold, v_reset=0.0, step_mode=mode)

    parts = [filled(layer.Linear(5, 7, step_mode=mode), 1.0), fires(0.5)]
    parts += [filled(layer.Linear(7, 6, step_mode=mode), 0.0), fires(0.5)]

    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(*parts)

        def forward(self, x: Tensor) -> Tensor:
            if mode == "m":
                return self.net(x)
            return torch.stack([self.net(one) for one in x])

    net = Repeated()
    check(sp.profile(net, some(STEPS, ROWS, 5), calls=ROWS))
    check(sp.profile(net, some(STEPS, ROWS, 5)))  # the state of the last call is forgotten


def test_sinabs_by_hand() -> None:
    layers = pytest.importorskip("sinabs.layers", exc_type=ImportError)
    from sinabs.activation import SingleSpike

    net = nn.Sequential(
        filled(nn.Linear(5, 7), 1.0),
        layers.IAF(spike_threshold=torch.tensor(0.5), spike_fn=SingleSpike),
        filled(nn.Linear(7, 6), 0.0),
        layers.IAF(spike_threshold=torch.tensor(0.5)),
    )
    check(sp.profile(net, some(ROWS, STEPS, 5)))
    squeezed = nn.Sequential(
        filled(nn.Linear(5, 7), 1.0),
        layers.IAFSqueeze(batch_size=ROWS, spike_threshold=torch.tensor(0.5), spike_fn=SingleSpike),
        filled(nn.Linear(7, 6), 0.0),
        layers.IAFSqueeze(batch_size=ROWS, spike_threshold=torch.tensor(0.5)),
    )
    check(sp.profile(squeezed, some(ROWS * STEPS, 5)))


def test_a_layer_without_neurons_has_accumulators_that_update() -> None:
    net = nn.Sequential(filled(nn.Linear(5, 7), 1.0), snntorch.Leaky(0.0, 0.5, init_hidden=True), nn.Linear(7, 6))
    rows = {row.layer: row for row in sp.profile(net, some(ROWS, 5)).op_counts.rows("interleaved")}
    assert rows["2"].updates_idle == ROWS * 6 and rows["2"].messages == 0


def test_graded_inputs_and_attention_are_not_passed_off_as_spikes() -> None:
    found = sp.profile(Steps(), some(ROWS, 5) * 0.3)
    row = found.op_counts.rows("interleaved")[0]
    assert (row.layer, row.message_bits) == ("input", 8 * row.messages)

    class Attends(Steps):
        def forward(self, x: Tensor) -> Tensor:
            spikes, _ = self.fire(self.first(x))
            return spikes @ spikes.T

    table = sp.profile(Attends(), some(ROWS, 5))
    with pytest.raises(UserError, match="a dense predictor .* does not run on 'loihi2'"):
        sp.compare({"a": table}, ["loihi2"])


@pytest.mark.parametrize(
    ("make", "macs"),
    [
        (lambda: (nn.Conv1d(3, 4, 3, padding=1), torch.rand(1, 3, 6)), 3 * 4 * 3 * 6),
        (lambda: (nn.Conv3d(2, 3, 2), torch.rand(1, 2, 3, 3, 3)), 2 * 3 * 8 * 8),
        (lambda: (nn.LSTM(4, 5, batch_first=True), torch.rand(1, 3, 4)), 3 * 20 * (4 + 5)),
        (lambda: (nn.GRU(4, 5, batch_first=True), torch.rand(1, 3, 4)), 3 * 15 * (4 + 5)),
        (lambda: (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.rand(1, 3, 8)), 3 * 512 + 9 * 16),
        (lambda: (nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4), nn.Linear(4, 2)), torch.tensor([[1, 2]])), 16),
    ],
)
def test_other_modules_by_hand(make, macs: int) -> None:
    net, x = make()
    found = sp.profile(net, x)
    assert found.macs == macs
    stored = sum(p.numel() for p in net.parameters())
    assert sum(weights for weights, _ in found.op_counts.memory.values()) == stored, "every weight once"


def test_density_is_exact_at_the_borders() -> None:
    """A single value in the corner of a 3x3 kernel's image meets four positions of each output channel."""
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 0, 0] = 2.0
    found = count_macs(nn.Conv2d(1, 6, 3, padding=1), x, density=True).macs
    assert (found.set_off, found.weight) == (4 * 6, 25 * 9 * 6)


def test_an_operation_that_nobody_counts_is_named_with_how_to_register_it() -> None:
    class Far(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, self.weight)

    with pytest.raises(UserError, match=r"_cdist_forward.* give it a rule: spikeplan.worldmodel.mac_counter.register"):
        sp.profile(Far(), torch.rand(2, 4))


def test_one_candidate_fills_no_pipeline() -> None:
    """A rollout is a recurrence: only another candidate can follow into the pipe, and two layers need two."""
    profiles = {"spikes": sp.profile(Steps(), some(ROWS, 5))}
    alone, two = (sp.compare(profiles, ["loihi2"], loop=sp.Loop(candidates=n)) for n in (1, STEPS + 1))
    assert {row["schedule"] for row in alone.rows} == {"sequential"}
    assert {row["schedule"] for row in two.rows} == {"sequential", "interleaved"}


def test_the_winner_is_a_machine_that_could_be_bought() -> None:
    table = sp.compare({"dense": sp.profile(nn.Linear(100, 10), torch.rand(1, 100))})
    marks = {row["machine"]: row["mark"] for row in table.rows}
    assert marks["jepa_r"] == "hypothetical" and marks["h100"] == "bound" and marks["gap9"] == ""
    least = min(table.rows, key=lambda row: row["joules"])
    assert least["mark"] == "hypothetical" and table.winner["mark"] in ("", "bound")
    spikes = sp.compare({"spikes": sp.profile(Steps(), some(ROWS, 5))})
    assert {row["machine"]: row["mark"] for row in spikes.rows}["seneca"] == "at least"
    assert spikes.winner["machine"].startswith("loihi")


def test_who_is_on_no_system_is_named() -> None:
    dense = sp.profile(nn.Linear(100, 10), torch.rand(1, 100), precision="fp32")
    spikes = sp.profile(Steps(), some(ROWS, 5))
    table = sp.compare({"dense": dense, "spikes": spikes}, rate_hz=10, systems=["npu", "npu-loihi2"])
    assert "dense is on none: method 'Linear', layer '(top)': 'gap9' computes in int8" in str(table)
    with pytest.raises(UserError, match="rate_hz is '20'; give actions a second as a number"):
        sp.compare({"spikes": spikes}, rate_hz="20")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="machines is empty; name at least one"):
        sp.compare({"spikes": spikes}, [])
    with pytest.raises(UserError, match="loop is None; give a Loop"):
        sp.compare({"spikes": spikes}, loop=None)  # type: ignore[arg-type]
    late = sp.compare({"spikes": spikes}, rate_hz=300, systems=["npu-loihi2"])
    assert late.systems[0]["seconds_high"] > late.systems[0]["seconds"]


def test_neurons_that_a_chip_could_not_step_are_refused() -> None:
    class Shared(Steps):
        def forward(self, x: Tensor) -> Tensor:
            spikes, _ = self.fire(self.first(x))
            out, _ = self.fire(self.second(spikes))
            return out

    class Uneven(Steps):
        def forward(self, x: Tensor) -> Tensor:
            for step in range(STEPS):
                spikes, _ = self.fire(self.first(x))
                if step % 2:
                    spikes, _ = self.rest(self.second(spikes))
            return spikes

    for net, complaint in ((Shared(), "one module of neurons for two layers"), (Uneven(), "ran 4 steps of 2 rows")):
        with pytest.raises(UserError, match=complaint):
            sp.profile(net, some(ROWS, 5))
    with pytest.raises(UserError, match="calls is 7, but the neurons see a batch of 2"):
        sp.profile(Steps(), some(ROWS, 5), calls=7)


def test_a_layer_of_values_sends_what_the_next_one_gets() -> None:
    net = nn.Sequential(
        filled(nn.Linear(5, 7), 1.0),
        nn.ReLU(),
        filled(nn.Linear(7, 6), 1.0),
        snntorch.Leaky(0.0, 0.5, init_hidden=True),
    )
    rows = {row.layer: row for row in sp.profile(net, some(ROWS, 5)).op_counts.rows("interleaved")}
    assert (rows["0"].messages, rows["0"].message_bits) == (ROWS * 7, ROWS * 7 * 8), "graded, and not nothing"
