"""What the converted network does: density, ranking, thresholds, gates, the Lava replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikeplan.core.format import Interval
from spikeplan.evaluation.rows.codec import Row


@dataclass(frozen=True, kw_only=True)
class Density:
    """Synops over dense MACs: in total, by CEM iteration and rollout step; messages an update and clipped values by layer."""

    total: float
    by_iteration_step: list[list[float]]
    messages_per_update: dict[str, float]
    saturated: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class AgreementRow(Row):
    """How a method ranks the dense planner's recorded candidates. `headline`: on the reference that the file runs on."""

    kind: ClassVar[str] = "agreement"
    method: str
    reference: str
    headline: bool
    spearman: float
    topk_overlap: float
    latent_nmse: float
    nmse_by_step: list[float]
    density: Density | None


@dataclass(frozen=True, kw_only=True)
class LavaReplayRow(Row):
    """Recorded plans replayed in Lava and compared with `==`. `raster`: layer -> (pass, neuron), 1 where it sent."""

    kind: ClassVar[str] = "lava"
    reference: str
    threshold: float
    seconds: float
    passes: int
    values_compared: int
    values_different: int
    nonzero_share: dict[str, float]
    positive_crossed: dict[str, int]
    negative_crossed: dict[str, int]
    first_difference: str | None
    saturated: dict[str, int]
    raster: dict[str, list[list[int]]]


@dataclass(frozen=True, kw_only=True)
class ThresholdChoice:
    """One setting of the threshold search, on validation episodes."""

    reference: str
    factor: float
    success: float
    density: float
    equivalents: float
    episodes: int | None = None
    against_dense: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class ThresholdsRow(Row):
    """The search that chose an artifact's thresholds. `settings`: how it was made."""

    kind: ClassVar[str] = "thresholds"
    dense_success: float
    table: list[ThresholdChoice]
    chosen: ThresholdChoice
    settings: str = ""


@dataclass(frozen=True, kw_only=True)
class LayerFit:
    """How well one layer was converted: error over variance, share of messages, share clipped, threshold in both units."""

    nmse: float
    density: float
    saturated: float
    threshold_lsb: int
    threshold: float


@dataclass(frozen=True, kw_only=True)
class LayersRow(Row):
    """The conversion's report, layer by layer."""

    kind: ClassVar[str] = "layers"
    layers: dict[str, LayerFit]


@dataclass(frozen=True, kw_only=True)
class GatesRow(Row):
    """Figures of the trained world model beside those of its controls, and what each plans like."""

    kind: ClassVar[str] = "gates"
    trained: dict[str, float]
    untrained: dict[str, float]
    collapsed: dict[str, float]
    success: dict[str, float]
