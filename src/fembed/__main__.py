"""``python -m fembed`` is the command ``fembed``."""

from fembed.commands.app import main

main()
