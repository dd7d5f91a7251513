"""The fused latent: what must not move it, what must not matter, and that a late frame is taken for the past it shows."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from spikeplan.fusion.cell import HOLD_S, TICK_S, BodyUpdate, EventUpdate, FrameUpdate, FusedLatent, FusedState, stored
from spikeplan.fusion.denoise import Denoiser

D, E = 8, 5


@pytest.fixture
def cell() -> FusedLatent:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cell = FusedLatent(D, cells=E, memory=6, width=16, stored=6)
        for parameter in cell.parameters():  # the small last layers of a fresh cell would hide a mistake
            parameter.data = torch.randn(parameter.shape) * 0.3
    return cell


def events(anchor: Tensor, count: Tensor) -> Tensor:
    return count.sum(-1, keepdim=True) * 0.1 + 0.01 * anchor


def quiet(cell: FusedLatent) -> FusedLatent:
    """No velocity of its own; takes a frame at half weight."""
    with torch.no_grad():
        for net in (cell.carry, cell.frame):
            net[-1].weight.zero_()  # type: ignore[operator]
            net[-1].bias.zero_()  # type: ignore[operator]
    return cell


def window(seed: int, rows: int = 3) -> EventUpdate:
    generator = torch.Generator().manual_seed(seed)
    return EventUpdate(torch.randint(-4, 5, (rows, E), generator=generator).float(), TICK_S)


def some_state(cell: FusedLatent, rows: int = 3, windows: int = 5) -> FusedState:
    state = cell.begin(torch.randn(rows, D, generator=torch.Generator().manual_seed(1)))
    for seed in range(windows):
        state = cell.apply(state, [window(10 + seed, rows)], events)
    return state


def frame(rows: int = 3, age_s: float = 0.015, there: bool = True) -> FrameUpdate:
    generator = torch.Generator().manual_seed(2)
    return FrameUpdate(
        torch.randn(rows, D, generator=generator),
        torch.full((rows,), age_s),
        torch.full((rows,), 7.0),
        torch.full((rows,), there),
    )


def same(a: FusedState, b: FusedState) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_no_time_changes_nothing(cell: FusedLatent) -> None:
    state = some_state(cell)
    assert same(cell.advance(state, 0.0), state)
    assert same(cell.read(state, events), state), "reading again says the same"
    later = cell.read(cell.advance(state, 1e-4), events)
    assert not torch.equal(later.latent_BD, state.latent_BD)


def test_without_data_only_time_moves_the_state(cell: FusedLatent) -> None:
    state = some_state(cell)
    assert same(cell.apply(state, [], events), state)
    assert same(cell.apply(state, [frame(there=False)], events), state)
    assert not torch.equal(cell.apply(state, [frame()], events).latent_BD, state.latent_BD)


def test_rows_without_a_frame_are_left_alone(cell: FusedLatent) -> None:
    state, update = some_state(cell), frame()
    update.there_B[1] = False
    after = cell.apply(state, [update], events)
    for before, now in zip(state[:-1], after[:-1], strict=True):
        assert torch.equal(before[1], now[1])
    for name in ("latent_BD", "anchor_BD", "memory_BH", "anchor_sum_BE"):
        assert not torch.equal(getattr(state, name)[0], getattr(after, name)[0])


def test_the_order_in_which_one_instant_s_updates_are_listed_does_not_matter(cell: FusedLatent) -> None:
    state = some_state(cell)
    listed = [frame(), window(3), BodyUpdate(torch.randn(3, 4, generator=torch.Generator().manual_seed(4)))]
    results = [cell.apply(state, order, events) for order in permutations(listed)]
    assert all(same(results[0], other) for other in results[1:])
    heard, seen = listed[1], listed[0]
    assert isinstance(heard, EventUpdate) and isinstance(seen, FrameUpdate)
    frames_last = cell.on_frame(cell.on_events(state, heard), seen)
    assert torch.equal(frames_last.memory_BH, results[0].memory_BH)


def test_events_add_up_however_they_are_cut_into_windows(cell: FusedLatent) -> None:
    """Integers: the sums are exact. Only the carried velocity may see the cut, and there is none here."""
    quiet(cell)
    state = some_state(cell, windows=0)
    whole = EventUpdate(window(3).event_BE + window(4).event_BE, 2 * TICK_S)
    one = cell.apply(state, [whole], events)
    two = cell.apply(cell.apply(state, [window(3)], events), [window(4)], events)
    assert torch.equal(one.latent_BD, two.latent_BD) and torch.allclose(one.age_B, two.age_B)
    expected = state.anchor_BD + events(state.anchor_BD, whole.event_BE)
    assert torch.equal(one.latent_BD, expected)


def test_a_window_s_length_counts(cell: FusedLatent) -> None:
    state = some_state(cell)
    event = torch.ones(3, E)
    short = cell.apply(state, [EventUpdate(event, TICK_S / 2)], events)
    long = cell.apply(state, [EventUpdate(event, TICK_S)], events)
    assert short.age_K[1] == pytest.approx(TICK_S / 2) and long.age_K[1] == pytest.approx(TICK_S)
    assert not torch.allclose(short.latent_BD, long.latent_BD)


def test_rows_without_an_event_camera_hear_nothing(cell: FusedLatent) -> None:
    state, update = some_state(cell), window(3)
    half = EventUpdate(update.event_BE, update.window_s, torch.tensor([True, False, True]))
    whole, after = cell.apply(state, [update], events), cell.apply(state, [half], events)
    silent = cell.read(cell.advance(state, TICK_S), events)
    assert torch.equal(after.latent_BD[0], whole.latent_BD[0]) and torch.equal(after.latent_BD[1], silent.latent_BD[1])
    assert after.heard_B[0] > after.heard_B[1]


def test_the_past_is_read_between_stored_instants() -> None:
    past = torch.arange(4.0)[None, :, None].expand(2, -1, D)
    found = stored(past, torch.tensor([0.0, 0.01, 0.02, 0.03]), torch.tensor([0.015, 0.5]))
    assert found[0].tolist() == pytest.approx([1.5] * D)
    assert found[1].tolist() == [3.0] * D, "older than anything stored: the oldest"


def test_a_late_frame_is_compared_with_what_the_state_was_then(cell: FusedLatent) -> None:
    """Half of the innovation; then the events since the exposure, and not those before it, move it to now."""
    quiet(cell)
    state, update = some_state(cell), frame(age_s=2 * TICK_S)
    then = state.past_BKD[:, 2]
    after = cell.apply(state, [update], events)
    anchor = then + (update.latent_BD - then) / 2
    since = state.sum_BKE[:, 0] - state.sum_BKE[:, 2]
    assert torch.allclose(after.anchor_BD, anchor, atol=1e-6)
    assert torch.allclose(after.latent_BD, anchor + events(anchor, since), atol=1e-6)
    shift = after.past_BKD - state.past_BKD
    assert torch.allclose(shift[:, 1], anchor - then, atol=1e-6), "the instants since then were off by as much"
    assert torch.equal(after.past_BKD[:, 3:], state.past_BKD[:, 3:]), "the ones before stay"


def test_an_anchor_is_not_held_for_longer_than_it_was_trained_for(cell: FusedLatent) -> None:
    quiet(cell)
    state = some_state(cell, windows=0)
    oldest = 0.0
    for number in range(round(3 * HOLD_S / TICK_S)):
        before = state
        state = cell.apply(state, [window(number)], events)
        oldest = max(oldest, float(state.age_B.max()))
        if float(state.age_B[0]) < float(before.age_B[0]):
            assert torch.equal(state.anchor_BD, before.latent_BD), "anchored where it was said to be"
            assert torch.equal(state.anchor_sum_BE, before.sum_BKE[:, 0])
    assert oldest == pytest.approx(HOLD_S, abs=1e-5)


def test_the_body_s_joints_say_it_all(cell: FusedLatent) -> None:
    joints = BodyUpdate(torch.randn(3, 4, generator=torch.Generator().manual_seed(4)))
    a, b = some_state(cell), some_state(cell, windows=2)
    assert torch.equal(cell.on_body(a, joints).anchor_BD, cell.on_body(b, joints).anchor_BD)
    quiet(cell)
    told = cell.apply(a, [joints], None)
    assert torch.equal(told.latent_BD, cell.body(joints.joints_BJ))


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
