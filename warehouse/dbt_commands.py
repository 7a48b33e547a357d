"""Runs dbt commands from stdin in one process: each line is a JSON list of words.

After each command it prints a line that says how the command ended. So dbt starts only once.
dbt_process.py runs this file as a script.
"""

import json
import os
import sys

SUCCEEDED, FAILED = "\x1esucceeded", "\x1efailed"  # dbt prints no such line


def main() -> None:
    os.nice(10)  # a build can wait; the sweep of this minute cannot
    from dbt.cli.main import dbtRunner  # late: dbt_process imports the constants and needs no dbt

    for line in sys.stdin:
        done = dbtRunner().invoke(json.loads(line))
        if done.exception is not None:
            sys.stdout.write(f"{done.exception}\n")
        sys.stdout.write(f"{SUCCEEDED if done.success else FAILED}\n")
        sys.stdout.flush()
        if isinstance(done.exception, KeyboardInterrupt):
            return


if __name__ == "__main__":
    main()
