"""`python -m pipeline.cli` is `banana-batch`."""

from pipeline.cli import main

main()
