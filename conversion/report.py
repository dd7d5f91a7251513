"""What a conversion says of its result: error and density of each layer, error of the output, and what does not spike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerReport:
    """How well one layer was converted.

    Args:
        nmse: squared error of the layer's reconstructed output over its variance.
        density: share of neurons that send a graded spike.
        saturated: share of graded spikes that were clipped.
        threshold_lsb: the threshold in state LSB.
        threshold: the same in real units.

    >>> report.layers["h1"].density
    """

    nmse: float
    density: float
    saturated: float
    threshold_lsb: int
    threshold: float


@dataclass(frozen=True)
class Report:
    """A `LayerReport` for each layer, by its name; printed, it is a table.

    Args:
        layers: in order of computation.
        synapses: weights of the network.
        output_nmse: squared error of the output, at the thresholds that run, over the variance, from row to row, of the
            change of the latent (of the output, where the network does not add to the latent). Against the module's own forward.
        finest_nmse: the same with every threshold at one message LSB: what integers alone cost.
        reevaluated: operations that no neuron does and that are computed anew, by name with how many there are.
        dense: layers that stay dense on a host, by name with the reason.
        label: what kind of network this is, where that needs saying.

    >>> converted = convert(predictor, data, SigmaDelta())
    >>> print(converted.report)
    """

    layers: dict[str, LayerReport]
    synapses: int
    output_nmse: float = float("nan")
    finest_nmse: float = float("nan")
    reevaluated: tuple[tuple[str, int], ...] = ()
    dense: tuple[tuple[str, str], ...] = ()
    label: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, ready for JSON."""
        found: dict[str, Any] = {
            "synapses": self.synapses,
            "output_nmse": self.output_nmse,
            "finest_nmse": self.finest_nmse,
            "layers": {name: asdict(row) for name, row in self.layers.items()},
        }
        if self.label:
            found |= {"label": self.label, "reevaluated": dict(self.reevaluated), "dense": dict(self.dense)}
        return found

    def __str__(self) -> str:
        width = max(map(len, self.layers), default=5)
        rows = [f"{'layer':{width}}    nmse  density  clipped  threshold"]
        for name, row in self.layers.items():
            rows.append(
                f"{name:{width}}  {row.nmse:.4f}   {row.density:.3f}   {row.saturated:.1e}  {row.threshold:.4g}"
            )
        rows.append(
            f"{self.synapses} synapses; error of the output {self.output_nmse:.4f} of its variance, "
            f"{self.finest_nmse:.4f} at the finest thresholds"
        )
        rows += [self.label] if self.label else []
        rows += [f"computed anew: {', '.join(f'{name} x {count}' for name, count in self.reevaluated)}"] * bool(
            self.reevaluated
        )
        rows += [f"dense on a host: {name} ({why})" for name, why in self.dense]
        return "\n".join(rows)
