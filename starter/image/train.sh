#!/usr/bin/env bash
# `./dev train image [STAGE...]`, inside the training userland. Everything lies under
# build/starter/image; it goes on where it was. Stages: see train.py. And:
#   case   build/starter/image/case: what torch draws with the model, for `golden-check`
#   keep   copy the model, the case and how it was made into starter/image
set -euo pipefail
here=starter/image out=build/starter/image
export PYTHONDONTWRITEBYTECODE=1
# One process for each core: products as small as these gain nothing by threads.
train() {
  local n rank; n=$(nproc)
  export WORLD_SIZE=$n MASTER_ADDR=127.0.0.1 MASTER_PORT=29517 OMP_NUM_THREADS=1 USE_LIBUV=0
  trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
  for ((rank = 0; rank < n; rank++)); do RANK=$rank python3 "$here/train.py" "$out" "$@" & done
  for ((rank = 0; rank < n; rank++)); do wait -n; done
}
case "${1:-all}" in
  all) train; python3 "$here/golden.py" "$out" ;;
  case) python3 "$here/golden.py" "$out" ;;
  keep)
    rm -rf "$here/model" && cp -r "$out/model" "$here/model"
    rm -rf "$here/case" && cp -r "$out/case" "$here/case"
    cp "$out/log.jsonl" "$here/curve.jsonl" ;;
  *) train "$@" ;;
esac
