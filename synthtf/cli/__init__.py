"""The command line: one module per subcommand, and no logic in it.

Each module has `add_parser(subparsers)` and `run(args) -> int`, and imports what is
slow to load only in `run`, so that `--help` answers at once.
"""
