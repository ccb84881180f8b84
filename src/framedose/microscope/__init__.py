"""The microscope: exit waves, optics and imaging conditions."""
