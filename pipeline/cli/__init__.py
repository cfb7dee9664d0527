"""Words to values: the command line, the environment, and the one error handler.

The only room that knows click. Loading click alone takes longer than three starts of Python, so
the page that `--help` shows is kept as text beside this file (`docs/make_commands.py` writes it, a
test compares it with click's own), and everything else is loaded when it is needed.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.commands.world import World


def main(arguments: "list[str] | None" = None, world: "World | None" = None) -> None:
    """Run the program and end the process with its exit code.

    Without `arguments` those of the process are taken, without a `world` that of the process.
    """
    if arguments is None and sys.argv[1:] in (["--help"], ["-h"]) and _show_help():
        return
    from pipeline.cli.ending import main as run

    run(arguments, world)


def _show_help() -> bool:
    """Print the page; False when that does not succeed, and the long way has to say why."""
    try:
        with open(f"{__path__[0]}/help.txt", encoding="utf-8") as page:  # noqa: PTH123 - pathlib is slow to load
            sys.stdout.write(page.read())
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True
