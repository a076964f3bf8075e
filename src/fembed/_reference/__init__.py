"""The model's mathematics in float64 NumPy: read this first, and test the engine against it.

For sample i with embedding u[i] (d numbers) and gene j with embedding v[j] (e numbers)

    x_hat[i, j] = c[j] + u[i] . L[j] + MLP([u[i]; v[j]])

where the MLP has ReLU hidden layers and a linear output of width 1. Its first layer is linear
in ``[u; v]``, so ``W [u; v] + b = W_u u + (W_v v + b)`` is computed once per sample and once per
gene, and only added per pair. Nothing here is fast; everything here is meant to be checkable.

A block is m samples (``rows``) x g genes (``genes``), given by two index arrays without repeats.
NaN marks an unobserved entry.

To be read in this order:

- `network`: forward and backward through the model;
- `counts`: the likelihood of counts;
- `loss`: the loss of a block, and its gradient;
- `training`: steps of Adam, a block each;
- `placement`: the best place of one sample in a model that stands still.
"""
