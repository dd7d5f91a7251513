"""The rows of metrics.jsonl: one frozen dataclass for each kind, the only place that knows the names of fields.

`to_json` gives what a line holds; `from_json` reads it back or says which field is wrong. A field that equals its default is
not written. Operations and Joules are per action; intervals are 95 %. To add a kind, derive a dataclass from Row, give it a
`kind`, and name it in KINDS.
"""

from spikeplan.core.format import Interval
from spikeplan.evaluation.rows.codec import KindRow, Row, from_json, lines_of, read_rows, rows_of_kind, to_json
from spikeplan.evaluation.rows.cost import (
    BreakEvenRow,
    EnergyRefusedRow,
    EnergyRow,
    FrontRow,
    OpCountsRow,
    PlacedEnergyRow,
    PointEnergy,
)
from spikeplan.evaluation.rows.network import (
    AgreementRow,
    Density,
    GatesRow,
    LavaReplayRow,
    LayerFit,
    LayersRow,
    ThresholdChoice,
    ThresholdsRow,
)
from spikeplan.evaluation.rows.success import AdmissionLevel, AdmissionRow, EpisodeRow, LavaLoopRow, MethodRow

KINDS: dict[str, type[Row]] = {
    "method": MethodRow,
    "front": FrontRow,
    "op_counts": OpCountsRow,
    "energy": EnergyRow,
    "energy_refused": EnergyRefusedRow,
    "energy_placed": PlacedEnergyRow,
    "break_even": BreakEvenRow,
    "gates": GatesRow,
    "layers": LayersRow,
    "thresholds": ThresholdsRow,
    "agreement": AgreementRow,
    "lava": LavaReplayRow,
    "lava_loop": LavaLoopRow,
    "admission": AdmissionRow,
    "episode": EpisodeRow,
}

__all__ = [
    "KINDS",
    "AdmissionLevel",
    "AdmissionRow",
    "AgreementRow",
    "BreakEvenRow",
    "Density",
    "EnergyRefusedRow",
    "EnergyRow",
    "EpisodeRow",
    "FrontRow",
    "GatesRow",
    "Interval",
    "KindRow",
    "LavaLoopRow",
    "LavaReplayRow",
    "LayerFit",
    "LayersRow",
    "MethodRow",
    "OpCountsRow",
    "PlacedEnergyRow",
    "PointEnergy",
    "Row",
    "ThresholdChoice",
    "ThresholdsRow",
    "from_json",
    "lines_of",
    "read_rows",
    "rows_of_kind",
    "to_json",
]
