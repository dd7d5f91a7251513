"""Dense to spiking: tracing, calibration, recipes, report, constraint check."""

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.convert import Converted, check, convert
from spikeplan.conversion.recipes.delta_transformer import DeltaTransformer
from spikeplan.conversion.recipes.sigma_delta import SigmaDelta
from spikeplan.conversion.report import LayerReport, Report
from spikeplan.core.fit import Violation

__all__ = [
    "Calibration",
    "Converted",
    "DeltaTransformer",
    "LayerReport",
    "Report",
    "SigmaDelta",
    "Violation",
    "check",
    "convert",
]
