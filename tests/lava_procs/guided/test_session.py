"""A guided session refuses bad input in one line, goes on after it, and leaves no process behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir.artifact import Artifact, save
from spikeplan.core.prices import Priced
from spikeplan.lava_procs import LavaError
from spikeplan.lava_procs.child import group_members
from spikeplan.lava_procs.guided.session import GuidedSession

Z = np.zeros(4, np.int64)
PLACES = np.zeros((2, 4), np.int64)
START_S = 300


@pytest.fixture(scope="module")
def lasting(
    files: tuple[Path, Path], params: Callable[..., GuidedParams], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuidedSession]:
    """One session for all bad input: what is refused leaves it able to plan."""
    folder = tmp_path_factory.mktemp("lasting")
    with GuidedSession.open(*files, params(), timeout_s=START_S, workdir=folder) as session:
        yield session


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"latent_int": np.zeros(5, np.int64)}, r"latent of shape \(5,\).*expected \(4,\) 24-bit integers"),
        ({"told_int": np.zeros(4)}, "told of .*float64"),
        ({"told_int": np.full(4, 1 << 23)}, "24-bit integers"),
        ({"places_int": np.zeros((1, 4), np.int64)}, r"places of shape \(1, 4\).*expected \(2, 4\)"),
        ({"places_int": np.zeros(8, np.int64)}, r"places of shape \(8,\)"),
        ({"places_int": np.full((2, 4), -(1 << 23))}, "places .*24-bit integers"),
        ({"seed": 1 << 24}, "seed 16777216 must be a 24-bit whole number"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 0.5}, "seed 0.5"),
    ],
)
def test_bad_input_is_refused_and_the_session_goes_on(
    changed: dict[str, Any], match: str, lasting: GuidedSession
) -> None:
    good: dict[str, Any] = {"latent_int": Z, "told_int": Z, "places_int": PLACES, "seed": 1}
    with pytest.raises(UserError, match=match) as error:
        lasting.plan(**{**good, **changed})
    assert "\n" not in str(error.value)
    assert lasting.plan(**good)[1].cost_S.shape == (5,)


def test_it_closes(files: tuple[Path, Path], params: Callable[..., GuidedParams], tmp_path: Path) -> None:
    with GuidedSession.open(*files, params(), timeout_s=START_S, workdir=tmp_path) as session:
        group = session.worker.pid
        with pytest.raises(UserError, match="another Lava session works there"):
            GuidedSession.open(*files, params(), timeout_s=START_S, workdir=tmp_path)
    assert not group_members(group)
    with pytest.raises(LavaError, match="closed"):
        session.plan(Z, Z, PLACES, 1)


def refused(*args: Any, match: str, folder: Path, **settings: Any) -> None:
    with pytest.raises(UserError, match=match) as error:
        GuidedSession.open(*args, **{"timeout_s": START_S, "workdir": folder / "run", **settings})
    assert "\n" not in str(error.value)
    assert not (folder / "run").exists(), "before anything starts"


def test_what_does_not_fit_is_refused_before_anything_starts(
    files: tuple[Path, Path], networks: dict[str, Artifact], params: Callable[..., GuidedParams], tmp_path: Path
) -> None:
    policy, predictor = files
    p = params()
    refused(predictor, predictor, p, match="policy: 6 inputs and 4 outputs; .* needs 8 and 2", folder=tmp_path)
    refused(policy, policy, p, match="predictor: 8 inputs and 2 outputs; .* needs 6 and 4", folder=tmp_path)
    wide = params(latent_dim=5)
    refused(policy, predictor, wide, match="5 latents and 2 actions needs 10 and 2", folder=tmp_path)
    refused(policy, predictor, p, match="layout 'round' is unknown", folder=tmp_path, layout="round")
    refused(policy, predictor, p, match="^reference 'chunk' does not run", folder=tmp_path, reference="chunk")
    refused(policy, predictor, p, match="timeout_s 0", folder=tmp_path, timeout_s=0)
    refused(policy, predictor, params(told=2), match="policy: 8 inputs .* needs 12 and 2", folder=tmp_path)
    weighed = params(to_go_weight=3, to_go_limit=9)
    refused(policy, predictor, weighed, match="no network of the cost-to-go", folder=tmp_path)
    refused(policy, predictor, p, match="a cost-to-go of no weight", folder=tmp_path, value_path=policy)
    refused(
        policy,
        predictor,
        weighed,
        match="cost-to-go: 8 inputs and 2 outputs; .* needs 8 and 1",
        folder=tmp_path,
        value_path=policy,
    )
    alone = params(places=0, prices=(Priced(name="avoid", settings={"margin": 9}),))
    refused(policy, predictor, alone, match="price avoid without a place to keep out of", folder=tmp_path)
    last = networks["policy"].layers[-1]
    huge = replace(networks["policy"], layers=(*networks["policy"].layers[:-1], replace(last, weight_exp=60)))
    inexact = save(huge, tmp_path / "huge.safetensors")
    refused(inexact, predictor, p, match="policy: layer 'out': .* not exact in float64", folder=tmp_path)
