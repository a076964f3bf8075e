"""Solvers in a network that stands still: the mathematics of training and inference alike.

`samples` finds the best place of a profile, and `genes` a gene's unknowns by the same solver with
the roles changed (`gene_starts` where a new one begins); `prior` holds what few observations leave
open; `uncertainty` says how sure a place is, by the derivatives of `jacobian`; `residual_factors`
holds what the map leaves; `library_size` the totals of profiles that lack genes; `numeric_range`
whether 32-bit floats suffice.
"""
