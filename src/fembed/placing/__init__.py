"""Places of samples in a network that stands still: the mathematics of training and projection.

`placement` finds the best place of a profile; `confidence` says how sure it is, by the derivatives
of `slopes`; `residuals` holds what the map leaves; `depth` the totals of profiles that lack genes.
"""
