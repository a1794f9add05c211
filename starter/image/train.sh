#!/usr/bin/env bash
# `./dev train image [STAGE...]`, inside the training userland. Everything lies under
# build/starter/image; it goes on where it was. Stages: see train.py. And:
#   case   build/starter/image/case: what torch draws with the model, for `golden-check`
#   keep   copy the model, the case and how it was made into starter/image
set -euo pipefail
here=starter/image out=build/starter/image
export PYTHONDONTWRITEBYTECODE=1
case "${1:-all}" in
  all) python3 "$here/train.py" "$out"; python3 "$here/golden.py" "$out" ;;
  case) python3 "$here/golden.py" "$out" ;;
  keep)
    rm -rf "$here/model" && cp -r "$out/model" "$here/model"
    rm -rf "$here/case" && cp -r "$out/case" "$here/case"
    cp "$out/log.jsonl" "$here/curve.jsonl" ;;
  *) python3 "$here/train.py" "$out" "$@" ;;
esac
