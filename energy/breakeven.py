"""How sparse must a spiking network be to cost less than a dense one?

    E_snn = M s e_syn + (M / F) T e_upd + P_static t      with s messages per synapse and inference
    s*    = e_mac / e_syn  -  (T / F)(e_upd / e_syn)  -  P_static t / (M e_syn)

M MACs of the dense network, F mean fan-in (M / neurons), T updates of every neuron per inference, P_static t per
inference. s* is the density below which the spiking network wins. The second term is a floor: updates are paid whether
messages arrive or not. s* <= 0: no sparsity helps. The first term alone, which most papers print, is misleading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from spikeplan.core.counts.operations import UPDATE_WEIGHT
from spikeplan.core.errors import UserError
from spikeplan.energy import dense
from spikeplan.energy.catalogue import Catalogue, Device, default
from spikeplan.energy.loihi import static_figure


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """The terms of s*, each in messages per synapse and inference. Below the density `s_star` the spiking network needs less.

    >>> found = network_break_even((66, 256, 256, 64), dense_device="orin_nano", precision="int8")
    >>> found.s_star, found.sparsity_helps
    """

    first_term: float
    update_term: float
    static_term: float

    @property
    def s_star(self) -> float:
        return self.first_term - self.update_term - self.static_term

    @property
    def sparsity_helps(self) -> bool:
        return self.s_star > 0


def break_even(
    *, e_mac: float, e_syn: float, e_upd: float, steps: float, fan_in: float, static_j: float = 0.0, macs: float = 1.0
) -> BreakEven:
    """s* from plain numbers; the module's docstring has the equation.

    Args:
        e_mac, e_syn, e_upd: J per MAC, synaptic operation and neuron update.
        steps: updates of each neuron per inference.
        fan_in: mean fan-in, MACs over neurons.
        static_j: J of static power per inference.
        macs: MACs of the dense network; they share the static part.

    Raises UserError for a number that is not > 0, or not >= 0 where zero makes sense.

    >>> break_even(e_mac=1.5e-12, e_syn=17.7e-12, e_upd=177e-12, steps=1, fan_in=240).s_star
    """
    for name, value in (("e_mac", e_mac), ("e_syn", e_syn), ("fan_in", fan_in), ("macs", macs)):
        if not value > 0:
            raise UserError(f"break-even: {name} is {value}; it must be > 0")
    for name, value in (("e_upd", e_upd), ("steps", steps), ("static_j", static_j)):
        if not value >= 0:
            raise UserError(f"break-even: {name} is {value}; it must be >= 0")
    return BreakEven(
        first_term=e_mac / e_syn,
        update_term=steps / fan_in * e_upd / e_syn,
        static_term=static_j / (macs * e_syn),
    )


def network_break_even(
    widths: Sequence[int],
    *,
    dense_device: str,
    precision: str,
    spiking_device: str = "loihi2",
    steps: float = 1.0,
    time_s: float = 0.0,
    chips: int = 1,
    catalogue: Catalogue | None = None,
) -> BreakEven:
    """s* of a chain of linear layers, with nominal figures of the catalogue.

    Args:
        widths: (66, 256, 256, 64) has an input and three neuron layers.
        dense_device, precision: where the dense network runs, and in which of its precisions.
        spiking_device: a chip of kind loihi1 or loihi2.
        steps: 1 when candidates are interleaved, the number of layers when they are not.
        time_s: chip time of one inference, in seconds; `chips` draw static power for so long.
        catalogue: another than `default()`.

    Raises UserError for an unknown device, a figure that the catalogue lacks, and widths below 1.

    >>> network_break_even((66, 256, 256, 64), dense_device="orin_nano", precision="int8").s_star
    """
    catalogue = catalogue or default()
    chip = catalogue.device(spiking_device)
    if len(widths) < 2 or min(widths) < 1:
        raise UserError(f"break-even: widths {tuple(widths)} need an input and at least one layer, each >= 1")
    macs = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    e_syn, e_upd = _event_energies(chip)
    return break_even(
        e_mac=dense.e_mac(catalogue.device(dense_device), precision).nominal,
        e_syn=e_syn,
        e_upd=e_upd,
        steps=steps,
        fan_in=macs / sum(widths[1:]),
        static_j=static_figure(chip, chips).band.nominal * chips * time_s,
        macs=macs,
    )


def _event_energies(chip: Device) -> tuple[float, float]:
    """J per synaptic operation and per update; on Loihi 1 the idle one, as most updates of a sparse network are."""
    if chip.kind == "loihi2":
        e_syn = chip.figure("e_eq").band.nominal
        return e_syn, UPDATE_WEIGHT * e_syn
    if chip.kind == "loihi1":
        return chip.figure("e_synop").band.nominal, chip.figure("e_update_idle").band.nominal
    raise UserError(f"device '{chip.name}' is not a spiking chip; use loihi2 or loihi1")
