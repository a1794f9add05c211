#!/usr/bin/env bash
# Puts the packages of package-lock.json into tests/node_modules when they are not there yet, then
# runs the command given, if any: `tests/npm.sh node --test x.mjs`. Safe to run at once from many
# tests; tests resolve packages from this folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
want=$(sha256sum <"$here/package-lock.json" | cut -c1-64)
stamp=$here/node_modules/.ingle-lock-sha256

installed() { [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; }

if ! installed; then
  exec 9<"$here/package-lock.json"
  flock -w 600 9 || { echo "npm.sh: another install in $here holds the lock since 10 minutes" >&2; exit 1; }
  if ! installed; then
    log=$(mktemp)
    # No scripts: packages may not run code of theirs at the install.
    if ! (cd "$here" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >"$log" 2>&1; then
      cat "$log" >&2; rm -f "$log"
      echo "npm.sh: npm ci failed in $here; it needs the npm registry (npm_config_registry)" >&2
      exit 1
    fi
    rm -f "$log"
    printf '%s\n' "$want" >"$stamp"
  fi
  exec 9<&-
fi
[ $# -eq 0 ] || exec "$@"
