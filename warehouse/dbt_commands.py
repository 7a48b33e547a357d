"""dbt in one process: commands from stdin, a JSON list of words a line, one after another.

After each a line tells its end. dbt starts once for all of them. Run by dbt_process.py, as a
script: in this folder `import dbt` must not mean dbt.py (python -P).
"""

import json
import os
import sys

SUCCEEDED, FAILED = "\x1esucceeded", "\x1efailed"  # no line of dbt's begins like this


def main() -> None:
    os.nice(10)  # a build can wait, the sweep of this minute cannot
    from dbt.cli.main import dbtRunner  # late: the two words are wanted without it

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
