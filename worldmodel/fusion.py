"""A latent that frames, windows of events and proprioception update whenever they arrive; readable at any time.

    free        z += dt r(z, h)                                              nothing arrived: the memory carries on
    events      u = f(z, e);  z += u + dt c(z, h, u);  h = GRU(u, h)          a window of length dt
    frame       g = z_frame - z(t - age);  z += k g + m,  past += k g + m,  h = GRU(g, h)
    body        z = b(cos q, sin q)                                          joint encoders say it all

A frame shows the past: it is compared with what the state was then (`past`), and what it corrects then it corrects now.
k (a gate in 0..1) and m see the innovation g, the age, the exposure's light, z and h. The body's own latent has encoders
for its joints; what is watched from outside has none.
After RAMNet (Gehrig 2021): one state, any sensor may speak. Late frames are seen with age errors in training (FAOD).
Shapes: B rows, D latent, H memory, K stored instants (age ascending).  Units: s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

TICK_S = 0.01  # learned rates are per tick
EventEncoding = Callable[[Tensor, Tensor], Tensor]  # (z, e) -> change of z


class FusedState(NamedTuple):
    latent_BD: Tensor
    memory_BH: Tensor
    past_BKD: Tensor  # latents at the last K instants, newest first
    age_K: Tensor  # their ages, s


@dataclass(frozen=True)
class FrameUpdate:
    """Latent of a frame whose exposure's middle lies `age_s` back; `light`: log of the electrons a bright pixel gave.
    Rows where `there` is false got no frame."""

    latent_BD: Tensor
    age_s_B: Tensor
    light_B: Tensor
    there_B: Tensor


@dataclass(frozen=True)
class EventUpdate:
    """One window of events, `window_s` long, ending now."""

    event_BE: Tensor
    window_s: float


@dataclass(frozen=True)
class BodyUpdate:
    """cos and sin of the joints, read now."""

    joints_BJ: Tensor


Update = FrameUpdate | EventUpdate | BodyUpdate
ORDER = {EventUpdate: 0, FrameUpdate: 1, BodyUpdate: 2}  # of updates that reach the state at one instant


def _mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class FusedLatent(nn.Module):
    """Pure updates of a FusedState. `events` is passed in: the dense encoder in training, the spiking one on the chip."""

    def __init__(
        self, latent_dim: int, *, memory: int = 64, width: int = 128, joints: int = 4, stored: int = 16
    ) -> None:
        super().__init__()
        self.latent_dim, self.memory, self.stored = latent_dim, memory, stored
        d, h = latent_dim, memory
        self.free = _mlp(d + h, width, d)
        self.carry = _mlp(2 * d + h, width, d)
        self.event_memory = nn.GRUCell(d, h)
        self.frame = _mlp(3 * d + h + 2, width, 2 * d)
        self.frame_memory = nn.GRUCell(d + 2, h)
        self.body = _mlp(joints, 2 * width, 2 * width, d)
        with torch.no_grad():  # starts as: hold between frames, take a frame at half weight
            for net in (self.free, self.carry, self.frame):
                net[-1].weight.mul_(0.1)  # type: ignore[operator]
                net[-1].bias.zero_()  # type: ignore[operator]

    def begin(self, latent_BD: Tensor) -> FusedState:
        past = latent_BD[:, None].expand(-1, self.stored, -1)
        age = torch.arange(self.stored) * TICK_S
        return FusedState(latent_BD, latent_BD.new_zeros(len(latent_BD), self.memory), past, age)

    def advance(self, state: FusedState, dt_s: float) -> FusedState:
        """Time passes and nothing is seen; dt = 0 changes nothing."""
        if dt_s == 0:
            return state
        rate = self.free(torch.cat([state.latent_BD, state.memory_BH], -1))
        return self._push(state, state.latent_BD + rate * (dt_s / TICK_S), state.memory_BH, dt_s)

    def on_events(self, state: FusedState, update: EventUpdate, events: EventEncoding) -> FusedState:
        """Takes the place of `advance` over the window."""
        z, h = state.latent_BD, state.memory_BH
        change = events(z, update.event_BE)
        share = update.window_s / TICK_S
        moved = z + change + self.carry(torch.cat([z, h, change], -1)) * share
        return self._push(state, moved, self.event_memory(change * 4, h), update.window_s)

    def on_frame(self, state: FusedState, update: FrameUpdate) -> FusedState:
        z, h = state.latent_BD, state.memory_BH
        gap = update.latent_BD - past_latent(state, update.age_s_B)
        side = torch.stack([update.age_s_B * 10, update.light_B / 4], -1)
        gate, more = self.frame(torch.cat([gap, update.latent_BD, z, h, side], -1)).chunk(2, -1)
        there = update.there_B[:, None]
        step = torch.where(there, torch.sigmoid(gate) * gap + more, 0.0)
        memory = torch.where(there, self.frame_memory(torch.cat([gap, side], -1), h), h)
        return FusedState(z + step, memory, state.past_BKD + step[:, None], state.age_K)

    def on_body(self, state: FusedState, update: BodyUpdate) -> FusedState:
        z = self.body(update.joints_BJ)
        past = torch.cat([z[:, None], state.past_BKD[:, 1:]], 1)
        return state._replace(latent_BD=z, past_BKD=past)

    def apply(self, state: FusedState, updates: Sequence[Update], events: EventEncoding) -> FusedState:  # type: ignore[override]
        """Everything that reached the state at one instant: the order in which the list was filled does not matter."""
        for update in sorted(updates, key=lambda one: ORDER[type(one)]):
            if isinstance(update, EventUpdate):
                state = self.on_events(state, update, events)
            elif isinstance(update, FrameUpdate):
                state = self.on_frame(state, update)
            else:
                state = self.on_body(state, update)
        return state

    def _push(self, state: FusedState, latent_BD: Tensor, memory_BH: Tensor, dt_s: float) -> FusedState:
        past = torch.cat([latent_BD[:, None], state.past_BKD[:, :-1]], 1)
        age = torch.cat([state.age_K.new_zeros(1), state.age_K[:-1] + dt_s])
        return FusedState(latent_BD, memory_BH, past, age)


def past_latent(state: FusedState, age_s_B: Tensor) -> Tensor:
    """The state `age` ago, straight between stored instants; the oldest where the age lies beyond."""
    last = len(state.age_K) - 1
    after = torch.searchsorted(state.age_K.contiguous(), age_s_B.contiguous()).clamp(1, last)
    low, high = state.age_K[after - 1], state.age_K[after]
    share = ((age_s_B - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)[:, None]
    row = torch.arange(len(age_s_B))
    return state.past_BKD[row, after - 1] * (1 - share) + state.past_BKD[row, after] * share
