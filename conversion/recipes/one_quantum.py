"""One quantum: sigma-delta whose messages are +1, 0 or -1, so that no value takes more than a spike and its sign.

A neuron's range is `levels` quanta. A prediction takes as many passes on one input, and two for each layer more: what a message
cannot carry stays owed and follows in the next pass, so the value that arrives is that of a message of `levels` steps (You et
al. 2024, ST-BIF neurons). Against an earlier pass only changes are sent, and a value that has hardly moved takes no spike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes.base import Built, RecipeKind
from spikeplan.conversion.recipes.scales import scales_of
from spikeplan.conversion.recipes.sigma_delta import SigmaDelta, built, ranges_of
from spikeplan.conversion.tracing import Traced, affine_net
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact

BITS = 2  # of a message: -1, 0, 1
MAX_LEVELS = 512
SETTLING = 2  # passes a layer: a neuron may have to take back what it sent before its input was complete


@dataclass(frozen=True, kw_only=True)
class OneQuantum:
    """Spikes of one quantum and a sign.

    Args:
        levels: quanta of a layer's range, 1 to 512. The error of a value is one quantum, before what follows it.
        thresholds: in units of a layer's standard deviation; at least one quantum, whatever is given.

    Raises UserError for levels out of range, and in `build` for a module with more than affine maps and ReLUs.

    >>> spiking = convert(predictor, (latents, actions), OneQuantum(levels=16))
    >>> spiking.artifact.passes
    22
    """

    levels: int = 32
    thresholds: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.levels, bool) or not isinstance(self.levels, int) or not 1 <= self.levels <= MAX_LEVELS:
            raise UserError(f"recipe: levels {self.levels!r:.40} must be an integer from 1 to {MAX_LEVELS}")
        SigmaDelta(bits=BITS, thresholds=self.thresholds)

    def build(self, traced: Traced, data: Calibration) -> Built[Artifact]:
        net = affine_net(traced, data)
        values = net.run(data.latent_ND, data.action_NA)
        ranges = ranges_of(net, data, values)
        scales = scales_of(net, ranges, self.levels)
        made = SigmaDelta(bits=BITS, thresholds=self.thresholds).artifact(net, scales, ranges)
        # The output sends a value and the coder has its whole input: neither needs to settle.
        passes = self.levels + SETTLING * len(made.layers) - 2
        artifact = replace(made, passes=passes, provenance={"recipe": f"{self}"})
        return built(artifact, net, data, values, scales)


RECIPE = RecipeKind(name="one_quantum", make=OneQuantum)
