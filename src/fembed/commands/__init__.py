"""The command line: a module per command; each checks its outputs, calls the library, prints facts.

The library is imported inside the commands, so that ``fembed --help`` is quick.
"""
