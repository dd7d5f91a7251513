"""The report of a results directory, `write_report(out)`, and its table, `print_table(results, console)`."""

from spikeplan.experiments.report.html import write_report
from spikeplan.experiments.report.terminal.run import print_table

__all__ = ["print_table", "write_report"]
