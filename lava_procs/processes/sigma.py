"""Output: sums the changes it receives and emits the sum as a value, once per pass.

    sigma[t] = saturate(sigma[t-1] + (a[t] << e));   value[t] = trunc((sigma[t] + b) / 2^k)

A value is read by the host when the pass arrives; it is no message and has no width. ref is unused and stays zero.
Shapes: n outputs. Units: sigma, b in state LSB; value in latent LSB.
"""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from spikeplan.core.fixed_point import trunc_shift
from spikeplan.lava_procs.neuron_model import FixedModel, FloatModel, NeuronGroup
from spikeplan.lava_procs.neurons import integrate_fixed


class Sigma(NeuronGroup):
    """Outputs; a_in comes from Dense. The value is in the probe row; s_out is not connected."""


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SigmaFixed(FixedModel):
    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        sigma, saturated = integrate_fixed(a, sigma, self.params)
        return trunc_shift(self.params.activate(sigma), self.params.shift), sigma, ref, saturated


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SigmaFloat(FloatModel):
    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        sigma = sigma + a
        return self.params.activate(sigma) / 2.0**self.params.shift, sigma, ref, 0
