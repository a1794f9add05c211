#!/usr/bin/env bash
# Checks the types, then runs the test; tests/npm.sh puts the packages in place first. Debian's
# Node.js does not strip types, so the compiler writes JavaScript into a scratch folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
../node_modules/.bin/tsc -p tsconfig.json --outDir "$out"
echo '{"type": "module"}' >"$out/package.json"
node --import ./resolve.mjs --test --test-reporter=spec "$out/tests/protocol_ts/protocol.test.js"
