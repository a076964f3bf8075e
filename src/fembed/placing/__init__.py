"""Places of samples in a network that stands still: the mathematics of training and projection.

`placement` finds the best place of a profile, and `genes` a gene's unknowns by the same solver;
`confidence` says how sure a place is, by the derivatives of `slopes`; `residuals` holds what the
map leaves; `depth` the totals of profiles that lack genes; `reach` whether 32-bit floats suffice.
"""
