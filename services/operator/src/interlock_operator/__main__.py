"""Run the command line with `python -m interlock_operator`."""

from __future__ import annotations

from interlock_operator.cli import main

if __name__ == "__main__":
    main()
