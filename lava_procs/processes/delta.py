"""Input coder: sends the change of its input since what it last told its receivers.

    d[t]   = x[t] - ref[t-1];   s[t] = clip(trunc(d[t] / 2^k)) if |d[t]| >= theta else 0
    ref[t] = ref[t-1] + (s[t] << k)            # bits not sent stay owed

Lava ships no delta encoder of this form (lava.proc.sdn's Delta is a neuron with dendrites and loses shifted-out bits).
Shapes: n inputs. Units: x, ref, theta in state LSB; s in message LSB. sigma is unused and stays zero.
"""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from spikeplan.lava_procs.neuron_model import FixedModel, FloatModel, NeuronGroup
from spikeplan.lava_procs.neurons import send_fixed, send_float


class Delta(NeuronGroup):
    """Input coder; a_in carries x."""


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DeltaFixed(FixedModel):
    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        message, ref = send_fixed(a, ref, self.params)
        return message, sigma, ref, 0


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class DeltaFloat(FloatModel):
    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        message, ref = send_float(a, ref, self.params)
        return message, sigma, ref, 0
