"""The command line: one module per command, which checks outputs, calls the library, prints facts.

The library is imported inside the commands, so that ``fembed --help`` is quick.
"""
