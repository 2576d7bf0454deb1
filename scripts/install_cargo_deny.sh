#!/usr/bin/env bash
# Installs cargo-deny, which `make lint` uses, unless it is there.
set -euo pipefail
command -v cargo-deny >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny@0.20.2
