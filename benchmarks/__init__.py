"""Measurements of fembed: ``python -m benchmarks COMMAND``, see README.md beside this file.

Every command prints a table, with the bars that the project set itself, and writes the same with
all its samples, the hardware, the versions and the losses as JSON. Ratios are always taken within
one run, since machines and their other work differ.
"""
