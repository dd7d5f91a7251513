"""Event-camera data: recordings on one clock, readers, representations, the Tonic bridge and a sensor simulator."""

from eventdata.events import Events
from eventdata.info import info
from eventdata.readers import open_events, open_recording
from eventdata.recording import Recording
from eventdata.writers import write_recording

__all__ = ["Events", "Recording", "info", "open_events", "open_recording", "write_recording"]
