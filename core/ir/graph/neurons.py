"""Neurons: what keeps a state from step to step and sends messages.

    delta        d = (x << input_exp) - ref
    sigma_delta  sigma = fit(sigma + a);   d = act(target_fit(sigma + bias)) - ref
    readout      sigma = fit(sigma + a);   sends trunc((sigma + bias) / 2^shift), a value
    lif          u = once(decay(u, du + 1) + (a << 6) + current_bias);  v = sat24(decay(v, dv) + u + bias)
                 s = v > vth << 6;  v reset where s
    integrator   v = sat24(decay(v, dv) + (a << 6) + bias);  sends trunc(v / 2^shift), a value

What delta and sigma_delta send is said by `residue`:

    owed   s = clip(trunc(d / 2^shift)) if |d| >= threshold_lsb else 0;  ref += s << shift      bits not sent stay owed
    lost   s = d >> shift (floor) if |d| >= threshold_lsb else 0;        ref = target where s   lava.proc.sdn's rule, netx's

`owed` saturates states in state_bits; `lost` wraps every number at 32 bits as numpy's int32 does in Lava's stock processes,
and its messages have no limit. decay(x, d) = sgn(x) (|x| (4096 - d) >> 12); once(u) comes round once beyond +-2^23, as
lava.proc.lif does. A bias acts from step `bias_start` on, counted from 0: where every synapse delays by a step, that is when
a layer's first input arrives, as in frameworks without delays.
In real numbers: u = u (1 - du) + a;  v = v (1 - dv) + u + bias;  s = v > vth.
Units: sigma, ref, bias, threshold in state LSB; u, v in 2^-6 activation LSB; du, dv of 4096, or shares.
Reset: zero sets v to v_reset << 6 (0 if not given), subtract takes vth away, both in the step of the spike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS, limit
from spikeplan.core.ir.graph.base import Node, Shape

RESIDUES = ("owed", "lost")
ACTIVATIONS = ("identity", "relu")
RESETS = ("zero", "subtract")
DECAY_UNIT = 4096
LIF_ALIGN = 6  # activations and thresholds are aligned to the state's top by 6 bits
REAL_DECAYS = (("du", 0, 1), ("dv", 0, 1))
STOCK_BITS = 32  # of a state in Lava's stock processes


def nothing() -> NDArray[Any]:
    return np.zeros(1, np.int64)


@dataclass(frozen=True, kw_only=True)
class _Sending(Node):
    """Sends what changed. `message_bits` 0: a message has no limit of its own."""

    threshold_lsb: int
    shift: int = 0
    message_bits: int = MESSAGE_BITS
    state_bits: int = STATE_BITS
    residue: str = "owed"

    stateful: ClassVar[bool] = True

    def _check_sending(self) -> None:
        self.within(threshold_lsb=(0, 1 << 40), shift=(0, 40), message_bits=(0, 32), state_bits=(2, 48))
        if self.residue not in RESIDUES:
            raise self.refuse(f"residue {self.residue!r:.40} is unknown; use {' or '.join(RESIDUES)}")

    def bound(self, before: tuple[int, ...]) -> int:
        if self.residue == "lost" or not self.message_bits:
            return 1 << max(STOCK_BITS, self.state_bits + 1)
        return limit(self.message_bits)

    @property
    def limit(self) -> int | None:
        return self.bound(())


@dataclass(frozen=True, kw_only=True)
class Delta(_Sending):
    """Input coder: sends the change of what it is given."""

    input_exp: int = 0

    def __post_init__(self) -> None:
        self._check_sending()
        self.within(input_exp=(0, 14))


@dataclass(frozen=True, kw_only=True)
class SigmaDelta(_Sending):
    """Sums up changes and sends the change of its own output. bias: broadcasts to the neurons. `target_bits`: width to which
    sigma + bias is fitted; None: it is not, since the comparison alone uses it."""

    bias: NDArray[Any]
    bias_start: int = 0
    act: str = "relu"
    target_bits: int | None = None

    def __post_init__(self) -> None:
        self._check_sending()
        self.numbers("bias", whole=True)
        self.within(bias_start=(0, 1 << 20))
        if self.act not in ACTIVATIONS:
            raise self.refuse(f"activation {self.act!r:.40} is unknown; use {' or '.join(ACTIVATIONS)}")
        if self.target_bits is not None:
            self.within(target_bits=(2, 48))

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        self.spread("bias", before[0])
        return before[0]


@dataclass(frozen=True, kw_only=True)
class Readout(Node):
    """Sums up changes and sends the value. `wrap`: sigma wraps at 32 bits, as lava.proc.sdn's Sigma."""

    bias: NDArray[Any]
    shift: int = 0
    state_bits: int = STATE_BITS
    wrap: bool = False

    stateful: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.numbers("bias", whole=True)
        self.within(shift=(0, 40), state_bits=(2, 48))

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        self.spread("bias", before[0])
        return before[0]

    def bound(self, before: tuple[int, ...]) -> int:
        reached = (1 << STOCK_BITS) if self.wrap else limit(self.state_bits)
        return reached + int(np.abs(self.bias.astype(np.int64)).max())

    @property
    def limit(self) -> int | None:
        return self.bound(())


@dataclass(frozen=True, kw_only=True)
class LIF(Node):
    """Leaky integrate-and-fire; a synaptic filter (CUBA) where du is not 4095 of 4096, or not 1. The arrays hold integers, or all
    of them real numbers; each broadcasts to the neurons. `bias` is added to v, `current_bias` to u, both << bias_exp; `v_reset`
    is where a reset to zero ends, in the units of vth. du -1 keeps the whole current: Lava adds one to it."""

    du: NDArray[Any]
    dv: NDArray[Any]
    vth: NDArray[Any]
    bias: NDArray[Any]
    current_bias: NDArray[Any] = field(default_factory=nothing)
    v_reset: NDArray[Any] = field(default_factory=nothing)
    bias_exp: int = 0
    bias_start: int = 0
    reset: str = "zero"

    stateful: ClassVar[bool] = True
    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.numbers("du", "dv", "vth", "bias", "current_bias", "v_reset")
        self.within(bias_exp=(-31, 31), bias_start=(0, 1 << 20))
        if len({array.dtype.kind in "iu" for array in (self.du, self.dv, self.vth, self.bias)}) != 1:
            raise self.refuse("du, dv, vth and bias must all be integers, or all real numbers")
        if not self.fixed:
            for name in ("current_bias", "v_reset"):
                object.__setattr__(self, name, getattr(self, name).astype(np.float64))
        if self.reset not in RESETS:
            raise self.refuse(f"reset {self.reset!r:.40} is unknown; use {' or '.join(RESETS)}")
        if self.reset == "subtract" and self.v_reset.any():
            raise self.refuse("a reset by subtraction has no v_reset; leave it out")
        for name, low, top in (("du", -1, DECAY_UNIT - 1), ("dv", 0, DECAY_UNIT)) if self.fixed else REAL_DECAYS:
            if getattr(self, name).min() < low or getattr(self, name).max() > top:
                raise self.refuse(f"{name} must be from {low} to {top}")
        if not self.fixed and self.bias_exp:
            raise self.refuse("real numbers take no bias_exp; scale the bias")
        if self.fixed and np.abs(self.vth).max() > 1 << 17:
            raise self.refuse(f"vth {self.vth.max()} is beyond 17 bits; scale weights, bias and threshold down")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        for name in ("du", "dv", "vth", "bias", "current_bias", "v_reset"):
            self.spread(name, before[0])
        return before[0]

    def bound(self, before: tuple[int, ...]) -> int:
        return 1

    @property
    def limit(self) -> int | None:
        return 1

    def widest(self, before: tuple[int, ...], shapes: tuple[Shape, ...]) -> int:
        """A current is the sum of what has not decayed yet, 4096 / (du + 1) steps of it, and is multiplied by up to 4096."""
        steps = DECAY_UNIT if self.du.min() < 0 else -(-DECAY_UNIT // (int(self.du.min()) + 1))
        own = int(np.abs(self.current_bias.astype(np.int64)).max()) << max(self.bias_exp, 0)
        return ((before[0] << LIF_ALIGN) + own) * steps * DECAY_UNIT


@dataclass(frozen=True, kw_only=True)
class Integrator(Node):
    """A membrane that never fires: a readout of spikes. dv: integers of 4096 or shares; 0 integrates without a leak."""

    dv: NDArray[Any]
    bias: NDArray[Any]
    bias_exp: int = 0
    bias_start: int = 0
    shift: int = 0

    stateful: ClassVar[bool] = True
    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.numbers("dv", "bias")
        self.within(bias_exp=(-31, 31), bias_start=(0, 1 << 20), shift=(0, 40))
        if len({array.dtype.kind in "iu" for _, array in self.arrays()}) != 1:
            raise self.refuse("dv and bias must both be integers, or both real numbers")
        top = DECAY_UNIT if self.fixed else 1
        if self.dv.min() < 0 or self.dv.max() > top:
            raise self.refuse(f"dv must be from 0 to {top}")
        if not self.fixed and (self.bias_exp or self.shift):
            raise self.refuse("real numbers take no bias_exp and no shift")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        for name in ("dv", "bias"):
            self.spread(name, before[0])
        return before[0]

    def bound(self, before: tuple[int, ...]) -> int:
        return limit(STATE_BITS)

    @property
    def limit(self) -> int | None:
        return limit(STATE_BITS)
