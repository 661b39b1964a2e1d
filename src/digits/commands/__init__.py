"""The commands of `digits`, a module each: HELP, `arguments(parser)` and `run(given)` → exit code.

Top layer: they read the command line, let others do the work, and print. What a command needs is imported
when it runs, so that `digits --help` is there at once.
"""

COMMANDS = (
    "run",
    "schedule",
    "publish",
    "promote",
    "rollback",
    "versions",
    "prune",
    "status",
    "explain",
    "serve",
    "predict",
    "read",
    "app",
    "feedback",
    "sweep",
    "crossval",
)
