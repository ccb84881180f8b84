"""framedose in napari: open, calibrate, segment, scrub, export. The only room that imports napari and Qt."""
