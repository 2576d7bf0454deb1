#!/usr/bin/env bash
# Runs ClickHouse or Kafka in the foreground on its usual ports, on data that is kept: a container where Docker answers, else
# the engine of tests/engines.
#   scripts/local_engine.sh clickhouse|kafka FOLDER
set -euo pipefail

engine=$1
folder=$2
scripts=$(cd "$(dirname "$0")" && pwd)
docker_answers() { command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

case "$engine" in
  clickhouse)
    if docker_answers; then
      echo "ClickHouse answers at http://127.0.0.1:8123 soon; data is in the volume luminate-clickhouse; Ctrl-C stops it"
      exec docker run --rm --init -p 127.0.0.1:8123:8123 -p 127.0.0.1:9000:9000 -e CLICKHOUSE_SKIP_USER_SETUP=1 \
        -v luminate-clickhouse:/var/lib/clickhouse clickhouse/clickhouse-server:26.9
    fi
    exec python3 "$scripts/../tests/engines/clickhouse.py" --foreground --path "$folder" --http 8123 --tcp 9000
    ;;
  kafka)
    if docker_answers; then
      echo "Kafka answers at 127.0.0.1:9092 soon; data is in the volume luminate-kafka; Ctrl-C stops it"
      exec docker run --rm --init -p 127.0.0.1:9092:9092 -v luminate-kafka:/var/lib/kafka/data apache/kafka:4.2.2
    fi
    exec python3 "$scripts/../tests/engines/kafka.py" --foreground --path "$folder" --port 9092
    ;;
  *)
    echo "usage: scripts/local_engine.sh clickhouse|kafka FOLDER" >&2
    exit 2
    ;;
esac
