"""Passes and traces: refuse nonsense, survive a file, compare exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.ir.contexts import KEEP, RESET, enter, leave
from spikeplan.lava_procs import Passes, Trace, compare


def trace() -> Trace:
    return Trace(
        messages={"code": np.array([[1, 0], [-2, 0]])},
        sigma={"out": np.array([[5], [6]])},
        ref={"code": np.array([[1, 0], [-1, 0]])},
        value=np.array([[2], [3]]),
        saturated={"code": 0, "out": 1},
    )


def test_trace_round_trip_and_comparison(tmp_path: Path) -> None:
    trace().write(tmp_path / "trace.npz")
    result = compare(trace(), Trace.read(tmp_path / "trace.npz"))
    assert (result.values_compared, result.values_different, result.equal) == (4 + 4 + 2 + 2 + 2, 0, True)
    assert result.nonzero_share == {"code": 0.5}
    assert (result.positive_crossed, result.negative_crossed) == ({"code": 1}, {"code": 1})


def test_every_kind_of_value_is_compared() -> None:
    for changed in (
        replace(trace(), messages={"code": np.array([[1, 0], [-2, 1]])}),
        replace(trace(), sigma={"out": np.array([[5], [7]])}),
        replace(trace(), ref={"code": np.array([[1, 0], [-1, 1]])}),
        replace(trace(), value=np.array([[2], [4]])),
        replace(trace(), saturated={"code": 0, "out": 2}),
    ):
        result = compare(trace(), changed)
        assert (result.values_different, result.equal) == (1, False)
        assert result.first_difference is not None
    assert (
        compare(trace(), replace(trace(), value=np.array([[2], [9]]))).first_difference
        == "out.value[1, 0]: 3 against 9"
    )


def test_traces_that_cannot_be_compared() -> None:
    with pytest.raises(UserError, match="different networks"):
        compare(trace(), replace(trace(), sigma={}))
    with pytest.raises(UserError, match=r"out\.value is"):
        compare(trace(), replace(trace(), value=np.array([[2]])))


def test_passes_round_trip_and_refuse(tmp_path: Path) -> None:
    good = Passes(x=np.array([[1], [2]]), load=np.array([RESET, 3]), save=np.array([KEEP, 5]))
    assert (len(good), good.contexts) == (2, 6)
    good.write(tmp_path / "passes.npz")
    again = Passes.read(tmp_path / "passes.npz")
    assert (again.x.tolist(), again.load.tolist(), again.save.tolist()) == ([[1], [2]], [RESET, 3], [KEEP, 5])
    for change in (
        {"x": np.array([[1.5], [2.0]])},
        {"x": np.zeros((0, 1), int)},
        {"x": np.array([1, 2])},
        {"x": np.array([[1], [1 << 23]])},
        {"load": np.array([-3, 0])},
        {"save": np.array([-2, 0])},
        {"save": np.array([0])},
        {"load": np.array([0]), "save": np.array([0])},
    ):
        with pytest.raises(UserError, match="passes: "):
            replace(good, **change)


@pytest.mark.parametrize("read", [Passes.read, Trace.read])
def test_damaged_files(tmp_path: Path, read: object) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no")
    np.savez(tmp_path / "other.npz", unrelated=np.zeros(1))
    for name in ("absent.npz", "bad.npz", "other.npz"):
        with pytest.raises(UserError, match=name):
            read(tmp_path / name)  # type: ignore[operator]


def test_contexts() -> None:
    state, slots = np.array([[1], [2]]), np.zeros((2, 2, 1), np.int64)
    leave(state, slots, KEEP)
    assert not slots.any()
    leave(state, slots, 1)
    loaded = enter(np.zeros((2, 1), np.int64), slots, 1)
    assert loaded.tolist() == [[1], [2]]
    loaded[0] = 9
    assert slots[1].tolist() == [[1], [2]], "a loaded context is a copy"
    assert enter(state, slots, RESET).tolist() == [[0], [0]]
    assert enter(state, slots, KEEP) is state


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"nonsense"])
def test_a_damaged_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    for kind in (Passes, Trace):
        with pytest.raises(UserError, match="missing or not an .npz file"):
            kind.read(path)
