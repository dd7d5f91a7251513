"""Event-camera data: recordings on one clock, readers, representations, the Tonic bridge and a sensor simulator."""

from spikeplan.eventdata.events import Events
from spikeplan.eventdata.info import info
from spikeplan.eventdata.readers import open_events, open_recording
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.writers import write_recording

__all__ = ["Events", "Recording", "info", "open_events", "open_recording", "write_recording"]
