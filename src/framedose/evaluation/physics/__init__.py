"""What physics allows: three curves that are never confused.

``known`` holds the two observers that know the signal exactly: the likelihood ratio on the counts before the camera,
and the linear prewhitening observer on frames. ``task`` holds the observer that has the network's task: one of many
particles, anywhere, or none. ``limits`` turns their scores into doses. The derivations are in docs/physics.md.
"""
