#!/usr/bin/env bash
# Installs what building (and, asked for, tests, their engines alone, or benchmarks) need from Debian's packages, where root or
# sudo may; otherwise says which packages are missing.
#   scripts/deps.sh [build] [test] [engines] [bench]
set -euo pipefail

missing=()
needs() { # COMMAND PACKAGE: the package is needed where the command is not there
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

test_engines() { # what tests/engines needs to run Kafka and ClickHouse
  needs python3 python3
  needs mvn maven
  needs openssl openssl
  python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
  # Maven brings a Java of its own choice where there is none; Kafka needs 17.
  local java
  java=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${java:-0}" -ge 17 ] || missing+=(openjdk-17-jre-headless)
}

if ! command -v cargo >/dev/null 2>&1; then
  echo "cargo is not there: install Rust 1.95 or later first, as https://rustup.rs says" >&2
  exit 1
fi

for what in "${@:-build}"; do
  case "$what" in
    build)
      needs g++ g++
      needs make make
      needs cmake cmake
      needs perl perl
      needs clang clang
      needs python3 python3
      ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || missing+=(libclang-dev)
      # librdkafka includes curl's header, also where it is built without curl.
      [ -n "$(ls /usr/include/*/curl/curl.h /usr/include/curl/curl.h 2>/dev/null || true)" ] || missing+=(libcurl4-openssl-dev)
      ;;
    test)
      needs strace strace
      test_engines
      ;;
    engines) test_engines ;;
    bench) needs victoria-metrics victoria-metrics ;;
    *)
      echo "usage: scripts/deps.sh [build] [test] [engines] [bench]" >&2
      exit 2
      ;;
  esac
done

[ ${#missing[@]} -eq 0 ] && exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    root=(sudo)
  else
    root=(none)
  fi
fi
if [ "${root[*]-}" = none ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "these packages are needed (Debian's names) and could not be installed from here: ${missing[*]}" >&2
  echo "install them, for example: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}" >&2
${root[@]+"${root[@]}"} apt-get update -qq
DEBIAN_FRONTEND=noninteractive ${root[@]+"${root[@]}"} apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
