"""Specimens: supported nanoparticles and their masks."""
