#!/bin/sh
# Dumps of the database with retention. Needs PostgreSQL's client of the server's version, libpq's
# variables (PGHOST …), BACKUP_DIR and BACKUP_KEEP_DAYS.
#
#   backup.sh once            dump now
#   backup.sh daily           dump now and then every 24 hours
#   backup.sh check           exit code 1 unless the newest dump is younger than 26 hours
#   backup.sh restore FILE    fill PGDATABASE, which must be new and empty, from a dump
set -eu
umask 077

: "${BACKUP_DIR:?is not set: the folder of the dumps}"
: "${BACKUP_KEEP_DAYS:=14}"

once() {
    name="$BACKUP_DIR/fireside-$(date -u +%Y%m%dT%H%M%SZ)"
    trap 'rm -f "$name".*.part' EXIT
    # Roles belong to the server, not to a database; who restores sets the passwords anew.
    pg_dumpall --roles-only --no-role-passwords --file="$name.roles.sql.part"
    pg_dump --format=custom --compress=6 --file="$name.dump.part"
    mv "$name.roles.sql.part" "$name.roles.sql"
    mv "$name.dump.part" "$name.dump"
    trap - EXIT
    echo "made $name.dump"
    # Only after a dump that worked: the last good one is never removed by days without any.
    find "$BACKUP_DIR" -name 'fireside-*' -mtime "+$BACKUP_KEEP_DAYS" -delete
}

restore() {
    # A role that is there already is no fault.
    psql --quiet --file="${1%.dump}.roles.sql" 2>&1 | grep -v 'already exists' || true
    if [ "$(psql -Atc "select count(*) from pg_available_extensions where name = 'timescaledb'")" = 1 ]; then
        psql --quiet -c 'create extension if not exists timescaledb'
        psql --quiet -Atc 'select timescaledb_pre_restore()' >/dev/null
        pg_restore --dbname="$PGDATABASE" --exit-on-error "$1"
        psql --quiet -Atc 'select timescaledb_post_restore()' >/dev/null
    else
        pg_restore --dbname="$PGDATABASE" --exit-on-error "$1"
    fi
    # A dump holds neither settings of the database nor rights on it: the next migrate sets both.
    psql --quiet -c "delete from tracksolid.schema_migrations where migration_id in ('0001_schemas', '0002_roles')"
    psql --quiet -c 'analyze'
    echo "restored $1 into $PGDATABASE"
}

case "${1:-}" in
once) once ;;
daily)
    while :; do
        # A process of its own: after `||` the shell would go on past a command that failed.
        sh "$0" once || echo "no dump was made; the next try is in 24 hours" >&2
        sleep 86400
    done
    ;;
check) [ -n "$(find "$BACKUP_DIR" -name 'fireside-*.dump' -mmin -1560)" ] ;;
restore) restore "${2:?which dump? backup.sh restore FILE}" ;;
*)
    echo "use: backup.sh once | daily | check | restore FILE" >&2
    exit 2
    ;;
esac
