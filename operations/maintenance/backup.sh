#!/bin/sh
# Dumps of the database, and a copy of the archive of raw, which no dump holds. Needs PostgreSQL's
# client of the server's version, libpq's variables (PGHOST …) and
#
#   BACKUP_DIR                where dumps and copies go
#   BACKUP_KEEP_DAYS          older dumps are removed; copies of the archive never are
#   ARCHIVE_DIR               the archive of raw; read only; need not exist
#
#   backup.sh once            copy the archive and dump now
#   backup.sh daily           the same now, then every 24 hours
#   backup.sh check           exit code 1 unless the newest dump is younger than 26 hours
#   backup.sh restore FILE    fill PGDATABASE, which must be new and empty, from a dump
#   backup.sh archive         write the copied archive as a tar to standard output
set -eu
umask 077

: "${BACKUP_DIR:?is not set; set it to the folder for dumps}"
: "${BACKUP_KEEP_DAYS:=14}"
: "${ARCHIVE_DIR:?is not set; set it to the folder of the archive of raw}"

# Files of the archive are written once. A copy stays when its file is gone: restore-archive
# removes files, but an older dump still lacks their rows.
copy_archive() {
    [ -d "$ARCHIVE_DIR" ] || return 0
    files=$(cd "$ARCHIVE_DIR" && find . -type f -name '*.parquet')  # fails if it cannot read all
    for file in $files; do  # names hold no blanks: database/table/load-load.parquet
        source="$ARCHIVE_DIR/$file"
        copy="$BACKUP_DIR/archive/${file#./}"
        if [ -e "$copy" ]; then
            [ "$source" -nt "$copy" ] || continue
            mv "$copy" "${copy%.parquet}-until-$(date -u +%Y%m%dT%H%M%SZ).parquet"
        fi
        mkdir -p "$(dirname "$copy")"
        cp "$source" "$copy.part"
        mv "$copy.part" "$copy"
    done
}

once() {
    name="$BACKUP_DIR/fireside-$(date -u +%Y%m%dT%H%M%SZ)"
    trap 'rm -f "$name".*.part' EXIT
    # Roles belong to the server, not to a database. Passwords are set again by the next migrate.
    pg_dumpall --roles-only --no-role-passwords --file="$name.roles.sql.part"
    pg_dump --format=custom --compress=6 --file="$name.dump.part"
    # After the dump, before its name is final: each dump has its archive beside it. A row that the
    # dump lacks was in a file before the dump began.
    copy_archive
    mv "$name.roles.sql.part" "$name.roles.sql"
    mv "$name.dump.part" "$name.dump"
    trap - EXIT
    echo "made $name.dump"
    # Only after a dump that worked, so that the last good dump always stays.
    find "$BACKUP_DIR" -maxdepth 1 -name 'fireside-*' -mtime "+$BACKUP_KEEP_DAYS" -delete
}

restore() {
    # A role that already exists is not an error.
    psql --quiet --file="${1%.dump}.roles.sql" 2>&1 | grep -v 'already exists' || true
    if [ "$(psql -Atc "select count(*) from pg_available_extensions where name = 'timescaledb'")" = 1 ]; then
        psql --quiet -c 'create extension if not exists timescaledb'
        psql --quiet -Atc 'select timescaledb_pre_restore()' >/dev/null
        pg_restore --dbname="$PGDATABASE" --exit-on-error "$1"
        psql --quiet -Atc 'select timescaledb_post_restore()' >/dev/null
    else
        pg_restore --dbname="$PGDATABASE" --exit-on-error "$1"
    fi
    # A dump lacks settings of the database and rights on it; the next migrate sets both.
    psql --quiet -c "delete from tracksolid.schema_migrations where migration_id in ('0001_schemas', '0002_roles')"
    psql --quiet -c 'analyze'
    echo "restored $1 into $PGDATABASE"
}

case "${1:-}" in
once) once ;;
daily)
    while :; do
        # In a new process: left of `||`, set -e does not stop at a failed command.
        sh "$0" once || echo "no dump made; the next attempt is in 24 hours" >&2
        sleep 86400
    done
    ;;
check) [ -n "$(find "$BACKUP_DIR" -name 'fireside-*.dump' -mmin -1560)" ] ;;
restore) restore "${2:?is missing: backup.sh restore FILE}" ;;
archive)
    mkdir -p "$BACKUP_DIR/archive"
    # Readable on the other side, where the owner is another user.
    tar -c -C "$BACKUP_DIR" --mode=a+rX --exclude="*.part" archive
    ;;
*)
    echo "usage: backup.sh once | daily | check | restore FILE | archive" >&2
    exit 2
    ;;
esac
