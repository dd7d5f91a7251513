"""Event-camera data: recordings on one clock, readers, representations, the Tonic bridge and a sensor simulator."""

from eventdata.events import Events
from eventdata.info import info
from eventdata.readers import open_recording
from eventdata.recording import Recording

__all__ = ["Events", "Recording", "info", "open_recording"]
