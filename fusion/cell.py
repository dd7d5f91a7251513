"""A latent that frames, windows of events and proprioception update whenever they arrive; readable at any time.

    read     u = f(a, e);  z = a + u + age c(a, h, u, age, heard)        a: the anchor, a latent of `age` seconds ago
    events   e += counts of the window                                   e: ON - OFF by cell since the anchor's instant
    frame    g = z_frame - z(t - age');  a = z(t - age') + k g + m;  e = events since then;  h = GRU(g, rate of a, ...)
    hold     where nothing was anchored for HOLD_S: a = z, e = 0          so that f never sees more than it was trained on
    body     a = b(cos q, sin q)                                         joint encoders say it all

Events are changes; what they add up to since an instant is the change of the view since then. So f sees sums and not windows:
an error of one window does not stay, and what a frame shows late is corrected at the instant that it shows.
k (a gate in 0..1) and m see the innovation g, the frame's age and light, the anchor's age, z and h; c is what is left of the
velocity where no events are heard. The body's own latent has encoders for its joints; what is watched from outside has none.
After RAMNet (Gehrig 2021): one state, any sensor may speak. Late frames are seen with age errors in training (FAOD).
Shapes: B rows, D latent, H memory, E cells, K stored instants (age ascending).  Units: s, events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

TICK_S = 0.01  # learned rates are per tick
HOLD_S = 0.1
EventEncoding = Callable[[Tensor, Tensor], Tensor]  # (anchor, ON - OFF since then) -> change of the latent


class FusedState(NamedTuple):
    latent_BD: Tensor  # as last read
    anchor_BD: Tensor
    age_B: Tensor  # of the anchor, s
    heard_B: Tensor  # seconds since the anchor that windows of events cover
    anchor_sum_BE: Tensor  # all events up to the anchor's instant
    memory_BH: Tensor
    past_BKD: Tensor  # latents at the last K instants, newest first
    sum_BKE: Tensor  # all events up to them
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
    """ON - OFF by cell of one window, `window_s` long, ending now. Rows where `there` is false have no event camera."""

    event_BE: Tensor
    window_s: float
    there_B: Tensor | None = None


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
    """Pure updates of a FusedState. `events` is passed in: the dense encoder in training, the spiking one on the chip, None
    where there are none."""

    def __init__(
        self, latent_dim: int, *, cells: int, memory: int = 64, width: int = 128, joints: int = 4, stored: int = 16
    ) -> None:
        super().__init__()
        self.latent_dim, self.cells, self.memory, self.stored = latent_dim, cells, memory, stored
        d, h = latent_dim, memory
        self.carry = _mlp(2 * d + h + 2, width, d)
        self.frame = _mlp(3 * d + h + 3, width, 2 * d)
        self.anchor_memory = nn.GRUCell(2 * d + 3, h)
        self.body = _mlp(joints, 2 * width, 2 * width, d)
        with torch.no_grad():  # starts as: hold between frames, take a frame at half weight
            for net in (self.carry, self.frame):
                net[-1].weight.mul_(0.1)  # type: ignore[operator]
                net[-1].bias.zero_()  # type: ignore[operator]

    def begin(self, latent_BD: Tensor) -> FusedState:
        b, past = len(latent_BD), latent_BD[:, None].expand(-1, self.stored, -1)
        none = latent_BD.new_zeros(b)
        sums = latent_BD.new_zeros(b, self.stored, self.cells)
        memory = latent_BD.new_zeros(b, self.memory)
        return FusedState(
            latent_BD, latent_BD, none, none, sums[:, 0], memory, past, sums, torch.arange(self.stored) * TICK_S
        )

    def read(self, state: FusedState, events: EventEncoding | None) -> FusedState:
        """The state with its latent of now; the other updates leave `latent_BD` as it was."""
        a = state.anchor_BD
        change = torch.zeros_like(a) if events is None else events(a, state.sum_BKE[:, 0] - state.anchor_sum_BE)
        since = torch.stack([state.age_B, state.heard_B], -1) / HOLD_S
        rate = self.carry(torch.cat([a, state.memory_BH, change, since], -1))
        z = a + change + rate * (state.age_B / TICK_S)[:, None]
        return state._replace(latent_BD=z, past_BKD=torch.cat([z[:, None], state.past_BKD[:, 1:]], 1))

    def advance(self, state: FusedState, dt_s: float) -> FusedState:
        """Time passes and nothing is heard; dt = 0 changes nothing."""
        if dt_s == 0:
            return state
        state = self._hold(state, dt_s)
        return state._replace(
            age_B=state.age_B + dt_s,
            past_BKD=_pushed(state.past_BKD, state.latent_BD),
            sum_BKE=_pushed(state.sum_BKE, state.sum_BKE[:, 0]),
            age_K=torch.cat([state.age_K.new_zeros(1), state.age_K[:-1] + dt_s]),
        )

    def on_events(self, state: FusedState, update: EventUpdate) -> FusedState:
        """Takes the place of `advance` over the window."""
        state = self.advance(state, update.window_s)
        there = torch.ones_like(state.age_B) if update.there_B is None else update.there_B.to(state.age_B.dtype)
        now = state.sum_BKE[:, 0] + update.event_BE * there[:, None]
        return state._replace(
            heard_B=state.heard_B + there * update.window_s,
            sum_BKE=torch.cat([now[:, None], state.sum_BKE[:, 1:]], 1),
        )

    def on_frame(self, state: FusedState, update: FrameUpdate) -> FusedState:
        h, age, there = state.memory_BH, update.age_s_B, update.there_B[:, None]
        then = stored(state.past_BKD, state.age_K, age)
        gap = update.latent_BD - then
        side = torch.stack([age / HOLD_S, update.light_B / 4, state.age_B / HOLD_S], -1)
        gate, more = self.frame(torch.cat([gap, update.latent_BD, state.anchor_BD, h, side], -1)).chunk(2, -1)
        step = torch.where(there, torch.sigmoid(gate) * gap + more, 0.0)
        anchor = torch.where(there, then + step, state.anchor_BD)
        rate = (anchor - state.anchor_BD) * (TICK_S / (state.age_B - age).clamp_min(TICK_S))[:, None]
        memory = torch.where(there, self.anchor_memory(torch.cat([gap, rate, side], -1), h), h)
        shown = state.age_K[None] <= age[:, None]  # instants since the exposure: they were off by as much
        heard = state.heard_B * (age / state.age_B.clamp_min(1e-9)).clamp_max(1)
        return state._replace(
            anchor_BD=anchor,
            age_B=torch.where(update.there_B, age, state.age_B),
            heard_B=torch.where(update.there_B, heard, state.heard_B),
            anchor_sum_BE=torch.where(there, stored(state.sum_BKE, state.age_K, age), state.anchor_sum_BE),
            memory_BH=memory,
            past_BKD=state.past_BKD + step[:, None] * shown[..., None],
        )

    def on_body(self, state: FusedState, update: BodyUpdate) -> FusedState:
        none = torch.zeros_like(state.age_B)
        return state._replace(
            anchor_BD=self.body(update.joints_BJ), age_B=none, heard_B=none, anchor_sum_BE=state.sum_BKE[:, 0]
        )

    def apply(self, state: FusedState, updates: Sequence[Update], events: EventEncoding | None) -> FusedState:  # type: ignore[override]
        """Everything that reached the state at one instant, then read: the order in which the list was filled does not
        matter."""
        for update in sorted(updates, key=lambda one: ORDER[type(one)]):
            if isinstance(update, EventUpdate):
                state = self.on_events(state, update)
            elif isinstance(update, FrameUpdate):
                state = self.on_frame(state, update)
            else:
                state = self.on_body(state, update)
        return self.read(state, events) if updates else state

    def _hold(self, state: FusedState, dt_s: float) -> FusedState:
        """Rows whose anchor would get older than HOLD_S are anchored where they are said to be."""
        old = state.age_B + dt_s > HOLD_S + 1e-6
        if not old.any():
            return state
        row, a = old[:, None], state.anchor_BD
        rate = (state.latent_BD - a) * (TICK_S / state.age_B.clamp_min(TICK_S))[:, None]
        side = torch.stack([torch.zeros_like(state.age_B), torch.zeros_like(state.age_B), state.age_B / HOLD_S], -1)
        memory = self.anchor_memory(torch.cat([torch.zeros_like(a), rate, side], -1), state.memory_BH)
        return state._replace(
            anchor_BD=torch.where(row, state.latent_BD, a),
            age_B=torch.where(old, 0.0, state.age_B),
            heard_B=torch.where(old, 0.0, state.heard_B),
            memory_BH=torch.where(row, memory, state.memory_BH),
            anchor_sum_BE=torch.where(row, state.sum_BKE[:, 0], state.anchor_sum_BE),
        )


def _pushed(kept_BKV: Tensor, newest_BV: Tensor) -> Tensor:
    return torch.cat([newest_BV[:, None], kept_BKV[:, :-1]], 1)


def stored(kept_BKV: Tensor, age_K: Tensor, age_s_B: Tensor) -> Tensor:
    """What was kept `age` ago, straight between stored instants; the oldest where the age lies beyond."""
    last = len(age_K) - 1
    after = torch.searchsorted(age_K.contiguous(), age_s_B.contiguous()).clamp(1, last)
    low, high = age_K[after - 1], age_K[after]
    share = ((age_s_B - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)[:, None]
    row = torch.arange(len(age_s_B))
    return kept_BKV[row, after - 1] * (1 - share) + kept_BKV[row, after] * share
