"""``python -m fembed`` is the command ``fembed``."""

from fembed.cli import main

main()
