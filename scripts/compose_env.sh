#!/usr/bin/env bash
# Writes .env for docker-compose.yml and `make run`: .env.example with secrets of this machine's own. Leaves a file that is there
# alone, but for secrets that compose needs and it lacks. Nobody else may read it, and git ignores it.
set -euo pipefail
cd "$(dirname "$0")/.."

umask 077
[ -e .env ] || cp .env.example .env
chmod 0600 .env
for name in JWT_SECRET CLICKHOUSE_WRITER_PASSWORD CLICKHOUSE_READER_PASSWORD GRAFANA_ADMIN_PASSWORD; do
  if ! grep -q "^$name=." .env; then
    printf '%s=%s\n' "$name" "$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" >>.env
    echo "wrote $name into .env"
  fi
done
