"""What physics allows: three curves that are never confused.

``counts`` and ``prewhitening`` hold the two observers that know the signal exactly: (a) the likelihood ratio on the
counts before the camera, and (b) the linear prewhitening observer on frames. ``task`` holds (c), the observer that has
the network's task: one of many particles, anywhere, or none. ``limits`` turns their scores into doses. The derivations
are in docs/physics.md.
"""
