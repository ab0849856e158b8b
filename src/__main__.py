"""`python -m faultwatch`, and `python -m src` from a checkout: the same as the command `faultwatch`."""

from .cli import main

main()
