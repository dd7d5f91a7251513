"""The fused latent: what must not move it, what must not matter, and that a late frame corrects the past it shows."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from worldmodel.denoise import Denoiser
from worldmodel.fusion import (
    TICK_S,
    BodyUpdate,
    EventUpdate,
    FrameUpdate,
    FusedLatent,
    FusedState,
    past_latent,
)

D, E = 8, 5


@pytest.fixture
def cell() -> FusedLatent:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cell = FusedLatent(D, memory=6, width=16, stored=4)
        for parameter in cell.parameters():  # the small last layers of a fresh cell would hide a mistake
            parameter.data = torch.randn(parameter.shape) * 0.3
    return cell


def events(latent: Tensor, event: Tensor) -> Tensor:
    return event.sum(-1, keepdim=True) * 0.1 + 0.01 * latent


def some_state(cell: FusedLatent, rows: int = 3) -> FusedState:
    generator = torch.Generator().manual_seed(1)
    state = cell.begin(torch.randn(rows, D, generator=generator))
    for _ in range(5):
        state = cell.advance(state, TICK_S)
    return state


def frame(rows: int = 3, age_s: float = 0.015, there: bool = True) -> FrameUpdate:
    generator = torch.Generator().manual_seed(2)
    return FrameUpdate(
        torch.randn(rows, D, generator=generator), torch.full((rows,), age_s), torch.full((rows,), 7.0),
        torch.full((rows,), there),
    )  # fmt: skip


def same(a: FusedState, b: FusedState) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_no_time_changes_nothing(cell: FusedLatent) -> None:
    state = some_state(cell)
    assert same(cell.advance(state, 0.0), state)
    assert not torch.equal(cell.advance(state, 1e-4).latent_BD, state.latent_BD)


def test_without_data_only_time_moves_the_state(cell: FusedLatent) -> None:
    state = some_state(cell)
    assert same(cell.apply(state, [], events), state)
    assert same(cell.on_frame(state, frame(there=False)), state)
    assert not torch.equal(cell.on_frame(state, frame()).latent_BD, state.latent_BD)


def test_rows_without_a_frame_are_left_alone(cell: FusedLatent) -> None:
    state, update = some_state(cell), frame()
    update.there_B[1] = False
    after = cell.on_frame(state, update)
    for before, now in ((state.latent_BD, after.latent_BD), (state.memory_BH, after.memory_BH)):
        assert torch.equal(before[1], now[1])
        assert not torch.equal(before[0], now[0])


def test_the_order_in_which_one_instant_s_updates_are_listed_does_not_matter(cell: FusedLatent) -> None:
    state = some_state(cell)
    generator = torch.Generator().manual_seed(3)
    listed = [frame(), EventUpdate(torch.randn(3, E, generator=generator), TICK_S), BodyUpdate(torch.randn(3, 4))]
    results = [cell.apply(state, order, events) for order in permutations(listed)]
    assert all(same(results[0], other) for other in results[1:])
    frames_last = cell.on_frame(cell.on_events(state, listed[1], events), listed[0])  # type: ignore[arg-type]
    assert torch.equal(frames_last.memory_BH, results[0].memory_BH)


def test_a_window_s_length_counts(cell: FusedLatent) -> None:
    state = some_state(cell)
    event = torch.ones(3, E)
    short = cell.on_events(state, EventUpdate(event, TICK_S / 2), events)
    long = cell.on_events(state, EventUpdate(event, TICK_S), events)
    assert short.age_K[1] == pytest.approx(TICK_S / 2) and long.age_K[1] == pytest.approx(TICK_S)
    assert not torch.allclose(short.latent_BD, long.latent_BD)


def test_the_past_is_read_between_stored_instants() -> None:
    past = torch.arange(4.0)[None, :, None].expand(2, -1, D)
    state = FusedState(past[:, 0], torch.zeros(2, 1), past, torch.tensor([0.0, 0.01, 0.02, 0.03]))
    found = past_latent(state, torch.tensor([0.015, 0.5]))
    assert found[0].tolist() == pytest.approx([1.5] * D)
    assert found[1].tolist() == [3.0] * D, "older than anything stored: the oldest"


def test_a_late_frame_corrects_what_the_state_was_then(cell: FusedLatent) -> None:
    """The correction shifts the stored past too: the same frame again finds a smaller innovation if the gate is < 1."""
    with torch.no_grad():
        last = cell.frame[-1]
        last.weight.zero_()  # type: ignore[operator]
        last.bias.zero_()  # type: ignore[operator]
    state, update = some_state(cell), frame()
    gap = update.latent_BD - past_latent(state, update.age_s_B)
    after = cell.on_frame(state, update)
    assert torch.allclose(after.latent_BD, state.latent_BD + gap / 2, atol=1e-6), "a gate of one half"
    again = update.latent_BD - past_latent(after, update.age_s_B)
    assert torch.allclose(again, gap / 2, atol=1e-6)


def test_the_body_s_joints_say_it_all(cell: FusedLatent) -> None:
    joints = torch.randn(3, 4, generator=torch.Generator().manual_seed(4))
    a, b = some_state(cell), cell.advance(some_state(cell), 0.05)
    assert torch.equal(cell.on_body(a, BodyUpdate(joints)).latent_BD, cell.on_body(b, BodyUpdate(joints)).latent_BD)


def test_a_fresh_denoiser_is_the_identity_and_listens_to_the_light() -> None:
    denoiser = Denoiser()
    image = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    light = torch.tensor([3.0, 7.0])
    assert torch.equal(denoiser(image, light), image)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.fill_(0.1)
    assert not torch.equal(denoiser(image, light), denoiser(image, light.flip(0)))
    assert denoiser.macs(8, 8) == 64 * 9 * (2 * 16 + 16 * 16 + 16)
