"""`python -m llmdecl.cli`."""

from llmdecl.cli import main

main()
