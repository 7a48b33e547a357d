"""python -m grafana writes dashboards/*.json; python -m grafana diff FILE lists what a dashboard
exported from Grafana changes."""

import argparse
import json
import sys
from pathlib import Path

from grafana.boards import BOARDS, encoded
from grafana.kit.changes import changes

FOLDER = Path(__file__).parent / "dashboards"


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done or no difference, 1 differences found, 2 used wrongly."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    diff = commands.add_parser("diff", help="list what an exported dashboard changes")
    diff.add_argument("file", type=Path, help="JSON as Grafana exports it (Classic)")
    parsed = parser.parse_args(arguments)
    made = {dashboard["uid"]: dashboard for dashboard in map(encoded, (f() for f in BOARDS))}
    if parsed.command == "diff":
        exported = json.loads(parsed.file.read_text())
        if exported.get("uid") not in made:
            known = ", ".join(sorted(made))
            parser.error(f"no dashboard has the uid {exported.get('uid')!r}; known are {known}")
        found = list(changes(made[exported["uid"]], encoded(exported)))
        sys.stdout.writelines(f"{line}\n" for line in found or ["no change"])
        return int(bool(found))
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for uid, dashboard in made.items():
        text = json.dumps(dashboard, indent=2, ensure_ascii=False)
        (FOLDER / f"{uid}.json").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
