#!/usr/bin/env bash
# Installs what `make lint` uses, unless it is there: rustfmt, clippy and cargo-deny.
set -euo pipefail
for tool in fmt clippy; do
  cargo "$tool" --version >/dev/null 2>&1 && continue
  component="${tool/fmt/rustfmt}"
  if ! rustup component add "$component"; then
    echo "cargo $tool is not there: install $component, as with \`rustup component add $component\`" >&2
    exit 1
  fi
done
cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny@0.20.2
