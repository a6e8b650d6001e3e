#!/bin/sh
# A throwaway Postgres with Florin's tables, for tests of one module.
#
#   private_postgres.sh start FOLDER     makes FOLDER; its socket is in FOLDER, the superuser is
#                                        postgres, nobody is asked for a password; the database
#                                        florin has all tables and roles
#   private_postgres.sh home FOLDER NAME copies florin into a database NAME of its own, and makes
#                                        FOLDER/NAME, an instance's home that points to it
#   private_postgres.sh stop FOLDER      stops it and removes FOLDER
#
# Run as root it becomes another user for the server, who will not run as root.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
bin=${bin:-/usr/local/pgsql/bin}
command=$1
folder=$2
as_server() {
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}
sql() {
    psql -q -X -v ON_ERROR_STOP=1 -h "$folder" -U postgres "$@"
}

case $command in
start)
    umask 077
    mkdir -p "$folder"
    [ "$(id -u)" -ne 0 ] || chown postgres "$folder"
    as_server "$bin/initdb" -D "$folder/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync >"$folder.log"
    as_server "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" start \
        -o "-c unix_socket_directories='$folder' -c listen_addresses='' -c fsync=off -c max_connections=50" >>"$folder.log"
    rm -f "$folder.log"
    sql -d postgres -c 'CREATE DATABASE florin'
    for file in tables schema roles; do
        PGOPTIONS='-c client_min_messages=warning' sql -d florin -f "$checkout/etc/$file.sql" >/dev/null
    done
    ;;
home)
    name=$3
    sql -d postgres -c "CREATE DATABASE $name TEMPLATE florin" -c "GRANT CONNECT ON DATABASE $name TO PUBLIC"
    umask 077
    mkdir -p "$folder/$name/secrets"
    echo "postgres_dsn = host=$folder dbname=$name" >"$folder/$name/florin.conf"
    for role in ledger payments webhooks auditor; do
        echo unused >"$folder/$name/secrets/postgres_$role"
    done
    ;;
stop)
    as_server "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null || true
    rm -rf "$folder"
    ;;
*)
    echo "usage: private_postgres.sh start|home|stop FOLDER [NAME]" >&2
    exit 2
    ;;
esac
