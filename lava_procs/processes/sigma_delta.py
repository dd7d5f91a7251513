"""Hidden neuron: sums the changes it receives (sigma) and sends the change of its activation (delta).

    sigma[t] = saturate(sigma[t-1] + (a[t] << e))
    d[t]     = act(sigma[t] + b) - ref[t-1];   s[t] = clip(trunc(d[t] / 2^k)) if |d[t]| >= theta else 0
    ref[t]   = ref[t-1] + (s[t] << k)          # bits not sent stay owed

Differs from lava.proc.sdn: there the bits cut off by the shift are lost and the receiver drifts.
With a ReLU the activation cannot be negative, but its change can: both signs are sent.
Shapes: n neurons. Units: sigma, ref, b, theta in state LSB; s in message LSB.
"""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from spikeplan.lava_procs.neuron_model import FixedModel, FloatModel, NeuronGroup
from spikeplan.lava_procs.neurons import integrate_fixed, send_fixed, send_float


class SigmaDelta(NeuronGroup):
    """Hidden neurons; a_in comes from Dense."""


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SigmaDeltaFixed(FixedModel):
    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        sigma, saturated = integrate_fixed(a, sigma, self.params)
        message, ref = send_fixed(self.params.activate(sigma), ref, self.params)
        return message, sigma, ref, saturated


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SigmaDeltaFloat(FloatModel):
    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        sigma = sigma + a
        message, ref = send_float(self.params.activate(sigma), ref, self.params)
        return message, sigma, ref, 0
