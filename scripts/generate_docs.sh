#!/usr/bin/env bash
# Writes the pages and files that are generated from the code. Tests compare them with what the binary says.
#   scripts/generate_docs.sh PATH_OF_LUMINATE
set -euo pipefail
luminate="$(realpath "${1:?usage: scripts/generate_docs.sh PATH_OF_LUMINATE}")"
cd "$(dirname "$0")/.."

write() { # FILE COMMAND...: replaces the file where the command succeeds
  local file="$1"
  shift
  "$luminate" "$@" >"$file.new"
  mv "$file.new" "$file"
  echo "wrote $file"
}

write docs/command-line.md reference commands
write docs/configuration.md config reference
write docs/configuration-cluster.md reference configuration-cluster
write docs/metrics.md reference metrics
write docs/errors.md reference errors
write .env.example config env-example
write schemas/openapi.json openapi
