"""What a notebook shows: `spikeplan.compare`'s table with its plot, and `spikeplan.report`, a results directory.

matplotlib is imported when something is drawn, not before.
"""
