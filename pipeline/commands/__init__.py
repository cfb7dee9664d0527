"""One file a verb: it builds the parts, calls them and returns an exit code.

Nothing here knows click, and nothing below here knows of commands. Each file is imported only
when its command runs, so that `--help` stays quick.
"""
