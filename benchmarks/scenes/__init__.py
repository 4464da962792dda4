"""Made traffic whose truth is known: Eclipse SUMO's road users, seen by a pinhole camera.

Nothing here knows the kernels or the ground fit of `vision`: truth must not share their mistakes.
"""
