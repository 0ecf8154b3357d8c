#!/usr/bin/env bash
# A PostgreSQL server of Debian's for DATABASE_URL, beside the system's own cluster.
#
#   PG_NAME, PG_PORT  for a second one; pg1 and 15432
. "$(dirname "${BASH_SOURCE[0]}")/_common.sh"

release=15
home=$PARTS_DIR/postgres-${PG_NAME:-pg1}
port=${PG_PORT:-15432}
programs=/usr/lib/postgresql/$release/bin

# The server refuses to run as root.
as_owner() { runuser -u postgres -- "$@"; }
control() { as_owner "$programs/pg_ctl" --pgdata="$home/data" "$@"; }

install() { packages "postgresql-$release"; }

start() {
  # Its owner must be able to reach the data, whatever our umask.
  chmod 755 "$PARTS_DIR"
  command install -d -o postgres -m 755 "$home"
  if [ ! -s "$home/data/PG_VERSION" ]; then
    as_owner "$programs/initdb" --pgdata="$home/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >&2
  fi
  if ! control status >/dev/null 2>&1; then
    control start --wait --timeout=30 --log="$home/log" --options="-p $port -c listen_addresses=127.0.0.1 \
      -c unix_socket_directories=$home -c max_connections=200 -c wal_level=logical -c max_prepared_transactions=50" >&2
  fi
  echo "postgres://postgres@127.0.0.1:$port/postgres"
}

stop() { control stop --mode=fast --wait >/dev/null 2>&1 || true; }

part "$@"
