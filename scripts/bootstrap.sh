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

# Debian's packages: a second server version, node for its clients, Prometheus' promtool, and
# PgBouncer, with which `make bench` compares. Without them, and without the right to install them,
# tests are skipped.
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"

may_install() {
  command -v apt-get >/dev/null && { [ -z "$sudo" ] || { command -v sudo >/dev/null && $sudo true 2>/dev/null; }; }
}

install() { # install PACKAGE...
  if ! may_install; then
    say "No apt-get, or neither root nor sudo: left out $*; its tests will be skipped."
    return 0
  fi
  say "Installing Debian's $*"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null || say "$* could not be installed; its tests will be skipped."
}

if [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then
  if may_install; then # the tests start servers of their own
    $sudo mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
      echo 'create_main_cluster = false' | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  install postgresql-15
fi

if ! PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null; then
  # The benchmark starts its own; Debian's service would take dbopt's port, 6432.
  if may_install && [ -d /run/systemd/system ]; then
    $sudo systemctl mask --quiet pgbouncer.service || true
  fi
  install pgbouncer
fi

if ! command -v promtool >/dev/null; then
  # The tests need promtool alone: Prometheus itself must not run.
  if may_install && [ -d /run/systemd/system ]; then
    $sudo systemctl mask --quiet prometheus.service || true
  fi
  install prometheus
fi

{ command -v node && command -v npm; } >/dev/null || install nodejs npm
node_stamp=tests/node/node_modules/.dbopt
if command -v npm >/dev/null && { [ ! -e "$node_stamp" ] || [ tests/node/package-lock.json -nt "$node_stamp" ]; }; then
  say "Installing the node clients into tests/node/node_modules"
  # npm trusts its own list of authorities alone, and not the machine's, which pip reads.
  authorities=/etc/ssl/certs/ca-certificates.crt
  [ ! -e "$authorities" ] || export npm_config_cafile=${npm_config_cafile:-$authorities}
  if npm ci --prefix tests/node --silent --no-audit --no-fund --ignore-scripts >&2; then
    touch "$node_stamp"
  else
    say "npm ci failed; the node clients' tests will be skipped."
  fi
fi
