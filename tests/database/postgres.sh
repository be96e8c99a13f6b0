#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own, on loopback, with data that goes away after:
#
#   tests/database/postgres.sh build/tests/database_tests --gtest_filter='Postgres*'
#
# The command finds the server in TEMPER_TEST_POSTGRES (a URL) and stops and starts it by
# `$TEMPER_TEST_POSTGRES_SERVER stop` and `start`. The user "locked" needs the password "right".
# Without the server's programs the exit code is 77, which CTest shows as skipped.
set -euo pipefail

programs=$({ ls -d /usr/lib/postgresql/*/bin /usr/local/pgsql/bin 2>/dev/null || true; } | sort -V | tail -n 1)
if [ -z "$programs" ] || [ ! -x "$programs/initdb" ]; then
  echo "skipped: no PostgreSQL server is installed (Debian: postgresql)" >&2
  exit 77
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/temper-postgres-XXXXXX")
# The server refuses to be run by root.
owner=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$folder"
  owner=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env)
fi

cat >"$folder/server" <<SERVER
#!/usr/bin/env bash
cd "$folder" || exit 1
case \$1 in
start) ${owner[@]+"${owner[@]}"} "$programs/pg_ctl" -D data -w -s -l log start >/dev/null ;;
stop) ${owner[@]+"${owner[@]}"} "$programs/pg_ctl" -D data -m immediate -w -s stop >/dev/null ;;
esac
SERVER
chmod +x "$folder/server"
finish() {
  "$folder/server" stop 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT

cd "$folder"
${owner[@]+"${owner[@]}"} "$programs/initdb" -D data -A trust -U temper -E UTF8 --locale=C --no-sync >/dev/null
${owner[@]+"${owner[@]}"} sed -i '1i host all locked 127.0.0.1/32 scram-sha-256' data/pg_hba.conf
# A port that nobody has: tried, not guessed.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  port=$((20000 + RANDOM % 40000))
  ${owner[@]+"${owner[@]}"} tee data/postgresql.auto.conf >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$folder'
fsync = off
CONF
  if ./server start 2>/dev/null; then break; fi
  if [ "$attempt" = 10 ]; then
    cat log >&2
    exit 1
  fi
done
"$programs/psql" -q -h 127.0.0.1 -p "$port" -U temper postgres \
  -c "CREATE ROLE locked LOGIN PASSWORD 'right'"
cd "$OLDPWD"

export TEMPER_TEST_POSTGRES="postgresql://temper@127.0.0.1:$port/postgres"
export TEMPER_TEST_POSTGRES_SERVER="$folder/server"
"$@"
