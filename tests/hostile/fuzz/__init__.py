"""Mutations of every kind of input, tried by the thousand in child processes; see `__main__`."""
