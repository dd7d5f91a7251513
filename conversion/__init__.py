"""Dense to spiking: calibration, recipes, report, constraint check."""

from conversion.calibration import Calibration
from conversion.convert import LayerReport, Report, check, convert
from conversion.recipes import SigmaDelta
from spec.fit import Violation

__all__ = ["Calibration", "LayerReport", "Report", "SigmaDelta", "Violation", "check", "convert"]
