#!/usr/bin/env bash
# ./dev fuzz [NAME] [SECONDS]: builds the fuzzers and runs all of them, or one, for SECONDS (60) each,
# beginning with corpus/NAME. `./dev fuzz smoke` runs each over its corpus and no further: the test
# fuzz_smoke, by which they go on building.
# An input that breaks something is kept in build/fuzz/broken/NAME; what widens the coverage in
# build/fuzz/found/NAME.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=${1:-all} seconds=${2:-60}
length=(-max_total_time="$seconds")
[ "$name" = smoke ] && { name=all; length=(-runs=0); }
dir=build/fuzz

[ -f "$dir/build.ninja" ] || cmake -S fuzz -B "$dir" -G Ninja -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build "$dir" -j "$(nproc)" >&2

mapfile -t fuzzers < <(cd "$dir/bin" && ls -- *_fuzz)
if [ "$name" != all ]; then
  [ -x "$dir/bin/${name}_fuzz" ] || {
    echo "fuzz: no fuzzer '$name'; there are: ${fuzzers[*]%_fuzz}" >&2
    exit 2
  }
  fuzzers=("${name}_fuzz")
fi

broken=0
for fuzzer in "${fuzzers[@]}"; do
  target=${fuzzer%_fuzz}
  mkdir -p "$dir/found/$target" "$dir/broken/$target"
  corpus=()
  [ -d "fuzz/corpus/$target" ] && corpus=("fuzz/corpus/$target")
  log=$dir/$target.log
  # A single allocation over 256 MB is a fault: nothing may trust a length that it read.
  if "$dir/bin/$fuzzer" "${length[@]}" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -print_final_stats=1 -artifact_prefix="$dir/broken/$target/" \
    "$dir/found/$target" ${corpus[@]+"${corpus[@]}"} >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "fuzz: $target: $runs inputs, nothing broke"
  else
    broken=1
    tail -40 "$log" >&2
    echo "fuzz: $target: broke; the whole output is in $log, the input in $dir/broken/$target" >&2
  fi
done
exit "$broken"
