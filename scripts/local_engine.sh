#!/usr/bin/env bash
# Runs ClickHouse or Kafka in the foreground on its usual ports, on data that is kept: a container with a volume where Docker
# answers, else the engine of tests/engines with FOLDER.
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
      # The image's own settings keep data in /tmp of the container; where one setting is given, it wants all. As in
      # docker-compose.yml.
      exec docker run --rm --init -p 127.0.0.1:9092:9092 -v luminate-kafka:/var/lib/kafka/data \
        -e KAFKA_NODE_ID=1 -e KAFKA_PROCESS_ROLES=broker,controller \
        -e KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093 -e KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER \
        -e KAFKA_LISTENERS=HOST://:9092,CONTROLLER://:9093 -e KAFKA_ADVERTISED_LISTENERS=HOST://localhost:9092 \
        -e KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=HOST:PLAINTEXT,CONTROLLER:PLAINTEXT \
        -e KAFKA_INTER_BROKER_LISTENER_NAME=HOST -e KAFKA_LOG_DIRS=/var/lib/kafka/data \
        -e KAFKA_AUTO_CREATE_TOPICS_ENABLE=false -e KAFKA_OFFSETS_RETENTION_MINUTES=43200 \
        -e KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1 -e KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1 \
        -e KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1 -e KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR=1 \
        -e KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR=1 apache/kafka:4.2.2
    fi
    exec python3 "$scripts/../tests/engines/kafka.py" --foreground --path "$folder" --port 9092
    ;;
  *)
    echo "usage: scripts/local_engine.sh clickhouse|kafka FOLDER" >&2
    exit 2
    ;;
esac
