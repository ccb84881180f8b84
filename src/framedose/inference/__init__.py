"""Trained networks on real micrographs: resample, predict, mask, area, and the files that hold them."""
