"""Dense to spiking: calibration, recipes, report, constraint check."""

from conversion.calibration import Calibration
from conversion.convert import LayerReport, Report, Violation, check, convert
from conversion.recipes import SigmaDelta

__all__ = ["Calibration", "LayerReport", "Report", "SigmaDelta", "Violation", "check", "convert"]
