"""Measurements of fembed against its bars: ``python -m benchmarks kernel|train|project|quality``.

Every command prints a table and writes the same with all its samples, the hardware, the versions
and the losses as JSON. Ratios are always taken within one run, since machines and their other
work differ.
"""
