"""A network of four layers and its placement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikeplan.core.chips import ChipLimits
from spikeplan.core.fit import groups_of
from spikeplan.core.ir.artifact import Artifact
from spikeplan.placement.place import Placement, place


@pytest.fixture(scope="session")
def net(make_chain) -> Artifact:
    return make_chain(
        np.random.default_rng(0), (8, 24, 20, 6), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0)
    )


def _placed(net: Artifact, chip: ChipLimits, *, contexts: int = 0, **settings: int) -> Placement:
    return place(groups_of(net, contexts=contexts), chip, **settings)


@pytest.fixture(scope="session")
def placed() -> Callable[..., Placement]:
    """placed(net, chip, contexts=0, replicas=1, spread=1)"""
    return _placed
