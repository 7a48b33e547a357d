"""Writes public/index.html: dbt's static page with the client's pages in front."""

import json
from pathlib import Path

from analyst.docs.client_pages import pages
from analyst.docs.framework import Framework, LastValues
from analyst.kpi.catalogue import Catalogue
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import Database

NEWEST = """
    select day, kpi_id, scope, scope_value, value
    from dwh_gold.kpi_now
    where scope in ('fleet', 'city')
    order by scope = 'fleet' desc, scope_value = 'Unassigned', scope_value
"""
PROPOSED = """
    select kpi_id, proposed_target, proposed_warn_at, proposed_critical_at
    from dwh_gold.kpi_band_proposals
    where scope = 'fleet'
"""


def write(settings: Settings, database: Database, folder: Path, is_compiled: bool = False) -> Path:
    """Write the documentation as one file that needs neither server nor network; return its path.

    With `is_compiled` (right after a build) dbt does not compile again and prints nothing.

    Raises DbtFailed if dbt fails, and Unknown if the feedback names a KPI that does not exist.
    """
    compiled = ["--no-compile"] if is_compiled else []
    silent = (lambda *_: None) if is_compiled else None
    dbt_runner.run(settings, database, ["docs", "generate", "--static", *compiled], silent)
    made = dbt_runner.target(settings, database)
    framework = Framework(Catalogue(made / "manifest.json"), address, last_values(database))
    static = (made / "static_index.html").read_text()
    manifest = (made / "manifest.json").read_text()
    document = json.loads(manifest)
    for name, text in pages(framework).items():
        # dbt's page shows the block __x__ at #!/overview/x; it opens with __overview__.
        block = {"name": f"__{name}__", "package_name": "dbt_fireside", "block_contents": text}
        document["docs"][f"doc.dbt_fireside.__{name}__"] = block
    embedded = json.dumps(document).replace("</", "<\\/")  # "</script>" in a text would end it
    for private in (made, ROOT):
        embedded = embedded.replace(f"{private}/", "")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(
        static.replace(manifest, embedded).replace("dbt Docs</title>", "Fleet KPIs</title>")
    )
    return page


def address(unique_id: str) -> str:
    """Return the address in dbt's page; the id `overview.x` is one of the client's pages."""
    kind, name = unique_id.split(".", 1)
    return f"#!/overview/{name}" if kind == "overview" else f"#!/{kind}/{unique_id}"


def last_values(database: Database) -> LastValues:
    """Return the values of the newest day that is over; empty before the first build."""
    with database.connect() as connection:
        built = connection.execute("select to_regclass('dwh_gold.kpi_now')").fetchone()
        if built == (None,):
            return LastValues()
        rows = connection.execute(NEWEST).fetchall()
        proposals = connection.execute(PROPOSED).fetchall()
    return LastValues(
        day=max((row[0] for row in rows if row[0]), default=None),
        places=tuple(dict.fromkeys(row[3] for row in rows)),
        values={(kpi_id, place): value for _, kpi_id, _, place, value in rows},
        proposals={
            kpi_id: (target, warn, critical) for kpi_id, target, warn, critical in proposals
        },
    )
