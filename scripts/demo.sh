#!/usr/bin/env bash
# From nothing to answers on real data: builds, starts a server in a temporary folder, imports a real access log, asks a
# handful of queries, and leaves the server running.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ]; then bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'; else bold='' dim='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { # COMMAND...: prints the command as a reader would type it, then runs it
  printf '\n%s$ %s%s\n' "$dim" "$(printf '%q ' "$@" | sed 's/ $//; s/\\,/,/g; s/\\^/^/g')" "$plain"
  "$@"
}

if [ -n "${LUMINATE_BINARY:-}" ]; then
  say "1. Not building: LUMINATE_BINARY is $LUMINATE_BINARY"
  bin_dir="$(cd "$(dirname "$LUMINATE_BINARY")" && pwd)"
else
  say "1. Building (the first time takes about a quarter of an hour, most of it RocksDB)"
  cargo build --release --bin luminate
  bin_dir="$(cd "${CARGO_TARGET_DIR:-target}/release" && pwd)"
fi
PATH="$bin_dir:$PATH"

say "2. Starting the server on a free port, with its data in a temporary folder"
folder="$(mktemp -d "${TMPDIR:-/tmp}/luminate-demo.XXXXXX")"
unset JWT_SECRET LUMINATE_CONFIG LUMINATE_LISTEN LUMINATE_URL LUMINATE_ADMIN_URL LUMINATE_TOKEN
export LUMINATE_DATA_DIR="$folder/data"
nohup luminate serve --listen 127.0.0.1:0 --address-file "$folder/address" >"$folder/server.log" 2>&1 &
server=$!
stop_on_failure() {
  status=$?
  if [ "$status" -ne 0 ]; then
    printf '\nThe demo failed; the server is stopped. Its log: %s\n' "$folder/server.log" >&2
    kill "$server" 2>/dev/null || true
  fi
}
trap stop_on_failure EXIT
for _ in $(seq 300); do
  [ -s "$folder/address" ] && break
  kill -0 "$server" 2>/dev/null || { echo "the server ended:" >&2; tail -5 "$folder/server.log" >&2; exit 1; }
  sleep 0.1
done
[ -s "$folder/address" ] || { echo "the server did not start in 30 s" >&2; exit 1; }
LUMINATE_URL="http://$(cat "$folder/address")"
export LUMINATE_URL
echo "It listens on $LUMINATE_URL."

say "3. Making a token: tenant and scopes come from it, never from a request"
printf '%s$ export LUMINATE_TOKEN=$(luminate token --tenant demo --scopes read,write)%s\n' "$dim" "$plain"
LUMINATE_TOKEN="$(luminate token --tenant demo --scopes read,write)"
export LUMINATE_TOKEN

say "4. Importing 10,000 real requests to a web site (one line of the log is cut short, and is told)"
show luminate import access-log tests/data/apache_access.log.gz --wait

say "5. Asking"
during=(--start 2015-05-17 --end 2015-05-21)
show luminate metrics
show luminate query --metric http_response_bytes --aggregation count --group-by status --order-by value "${during[@]}"
show luminate query --metric http_response_bytes --aggregation p95 --group-by method "${during[@]}"
echo
echo "The clients that loaded most, of some 1,750:"
show luminate query --metric http_response_bytes --aggregation sum --group-by client --order-by value --limit 5 --plot "${during[@]}"
echo
echo "One client's requests, the first three of them:"
show luminate query --metric http_response_bytes --raw --filter client=66.249.73.135 --filter 'path^=/blog/' --limit 3 "${during[@]}"
echo
echo "Requests an hour:"
show luminate query --metric http_response_bytes --aggregation count --step 1h --plot "${during[@]}"

trap - EXIT
say "The server goes on running (process $server). To ask it yourself:"
cat <<END
  export PATH="$bin_dir:\$PATH"
  export LUMINATE_URL=$LUMINATE_URL LUMINATE_DATA_DIR=$folder/data
  export LUMINATE_TOKEN=\$(luminate token --tenant demo --scopes read,write)
  luminate query --metric http_response_bytes --aggregation avg --group-by path --order-by value --limit 10 ${during[*]}
  luminate query --help
END
say "To stop it and remove its data:"
echo "  kill $server; rm -r $folder"
