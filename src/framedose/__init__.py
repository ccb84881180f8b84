"""framedose: the electron dose per frame from which a neural network sees a nanoparticle, and can be trusted."""

__version__ = "0.1.0"
