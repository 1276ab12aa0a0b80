#!/usr/bin/env bash
# Makes .venv and installs what a target needs. Called by make; safe to run again.
#   scripts/bootstrap.sh run    what `dbopt demo` needs
#   scripts/bootstrap.sh dev    what the tests need too, Debian's packages among it
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-dev}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

python=""
for candidate in python3 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "dbopt needs Python 3.11 or newer; none was found on PATH." >&2
  exit 2
fi

if [ ! -x .venv/bin/python ]; then
  say "Making .venv with $("$python" --version)"
  "$python" -m venv .venv 2>/dev/null || {
    echo "python3 -m venv failed: on Debian, install python3-venv." >&2
    exit 2
  }
fi

extras=embedded
[ "$what" = dev ] && extras=embedded,dev
stamp=.venv/.dbopt-$what
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
  say "Installing dbopt[$extras] into .venv"
  .venv/bin/python -m pip install --disable-pip-version-check -e ".[$extras]" \
    | sed -n '/^Collecting/p; /^Building/p; /^Installing/p; /^Successfully/s/ installed.*/ installed/p' >&2
  .venv/bin/python -c 'import dbopt.settings'
  touch "$stamp"
fi
[ "$what" = dev ] || exit 0

# Debian's PostgreSQL 15: a second server version for the tests.
if [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then
  if ! command -v apt-get >/dev/null; then
    say "No apt-get: tests against Debian's postgresql-15 will be skipped."
    exit 0
  fi
  sudo=""
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo -n"; else
      say "Not root and no sudo: left out postgresql-15; its tests will be skipped."
      exit 0
    fi
  fi
  say "Installing Debian's postgresql-15 (the tests start servers of their own)"
  $sudo mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    postgresql-15 >/dev/null || say "postgresql-15 could not be installed; its tests will be skipped."
fi
