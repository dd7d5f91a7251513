"""Event file formats, one file each."""
