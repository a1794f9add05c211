#!/usr/bin/env bash
# What `./dev` does inside the userland, in the checkout: build, test, run, bench, fuzz, fmt, gen, facts.
set -euo pipefail

jobs=$(nproc)
say() { printf 'dev: %s\n' "$*" >&2; }

# Configures when needed, then builds; quiet unless something fails or takes long.
build() {
  local preset=$1; shift
  local dir=build/${INGLE_BUILD_NAME:-$preset} started=$SECONDS
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=time_macros,include_file_mtime,include_file_ctime
  if [ ! -f "$dir/build.ninja" ]; then
    cmake --preset "$preset" -B "$dir" >"/tmp/ingle-configure.$$" 2>&1 \
      || { cat "/tmp/ingle-configure.$$" >&2; rm -f "/tmp/ingle-configure.$$"; exit 1; }
    rm -f "/tmp/ingle-configure.$$"
  fi
  cmake --build "$dir" -j "$jobs" "$@" >&2
  say "built $preset in $((SECONDS - started)) s"
}

say_hello() {
  local line url
  while IFS= read -r line; do
    printf '%s\n' "$line"
    [[ $line =~ listening\ on\ (http://[^ ]+) ]] || continue
    url=${BASH_REMATCH[1]}
    printf '%s\n' "Say hello from another terminal:" \
      "  ./dev exec build/release/bin/ingle run starter \"hello\"" \
      "  ./dev exec build/release/bin/ingle image \"a red circle left of a big green tree\" -o tree.png" \
      "  curl $url/v1/chat/completions -H 'Content-Type: application/json' -d \\" \
      "    '{\"model\": \"starter\", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}'"
  done
}

cmd=$1; shift
case "$cmd" in
  build) build "${1:-dev}" "${@:2}" ;;
  run)
    build release --target ingle
    # What the daemon prints goes through; below its URL stands how to say hello at once.
    exec build/release/bin/ingle serve "$@" > >(trap '' INT; say_hello) ;;
  test)
    build dev
    exec ctest --test-dir build/dev --output-on-failure -j "$jobs" ${1:+-R "$1"} ;;
  bench)
    build release
    exec node bench/run.mjs "$@" ;;
  facts)
    build release --target ingle
    mkdir -p "build/starter/$1"
    node "starter/$1/facts.mjs" "build/${INGLE_BUILD_NAME:-release}/bin/ingle" >"build/starter/$1/facts.new"
    mv "build/starter/$1/facts.new" "build/starter/$1/facts.json" ;;
  fuzz) exec bash fuzz/run.sh "$@" ;;
  fmt)
    git ls-files -co --exclude-standard '*.h' '*.cpp' '*.c' | xargs -r clang-format -i ;;
  gen)
    build dev --target ingle-protogen
    exec "build/${INGLE_BUILD_NAME:-dev}/bin/ingle-protogen" write . ;;
esac
