"""`python -m dbopt`."""

from dbopt.cli.root import main

main()
