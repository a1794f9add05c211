#!/usr/bin/env bash
# `./dev train text [STEP] [ARGS...]`, inside the training userland. Everything lies under
# build/starter/text; what is good enough is put beside this file with `keep`.
#   (none)         train (it goes on from the last checkpoint), then export and check
#   train ARGS...  only train: --steps N --seed N --threads N
#   export, check  only write the GGUF file, only compare it with what was trained
#   keep           copy the model, its curve, its questions and how it was made into starter/text
set -euo pipefail
here=starter/text out=build/starter/text
step=${1:-all}; shift || true
train() { python3 "$here/train.py" "$out/facts.json" "$out" "$@"; }
export_model() { python3 "$here/export.py" "$out" "$out/starter.gguf"; }
check() { python3 "$here/check.py" "$out" "$out/starter.gguf"; }
case "$step" in
  all) train "$@"; export_model; check ;;
  train) train "$@" ;;
  export) export_model ;;
  check) check ;;
  keep)
    python3 "$here/questions.py" "$out/facts.json" "$here/questions.json"
    cp "$out/starter.gguf" "$out/curve.csv" "$here/"
    cp "$out/state.json" "$here/starter.json" ;;
  *) echo "train.sh: '$step' is none of train, export, check, keep" >&2; exit 2 ;;
esac
