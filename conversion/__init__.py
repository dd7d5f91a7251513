"""Dense to spiking: calibration, recipes, report, constraint check."""

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.convert import LayerReport, Report, check, convert
from spikeplan.conversion.recipes.sigma_delta import SigmaDelta
from spikeplan.core.fit import Violation

__all__ = ["Calibration", "LayerReport", "Report", "SigmaDelta", "Violation", "check", "convert"]
