#!/usr/bin/env bash
# make demo: trains a small model on samples/data, shows how good it is on held-out sentences, and asks it about a
# sentence from C and from Python. A sentence of your own:
#   make demo SENTENCE=... SUBJECT=... SUBJECT_TYPE=PER OBJECT=... OBJECT_TYPE=LOC
# On a GPU: make demo DEVICE=cuda (or auto, or cuda:N).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=build/demo
export DEVICE=${DEVICE:-cpu}
export KLUERE_LIBRARY=$PWD/dist/lib PYTHONPATH=$PWD/bindings/python${PYTHONPATH:+:$PYTHONPATH}

echo "== a model of 3 layers, from random weights, on 1,000 invented sentences =="
rm -rf "$out"
"$python" -m kluere train samples/data/train.json --dev samples/data/dev.json --tokenizer samples/data --output "$out" \
  --layers 3 --hidden 256 --heads 4 --batch-size 8 --lr 3e-4 --epochs 26 --evaluate-every 650 --seed 1 --device "$DEVICE"

echo
echo "== the saved model on 200 held-out sentences with names it has never seen =="
"$python" -m kluere evaluate "$out/model" samples/data/dev.json --quiet --device "$DEVICE"
"$python" samples/data/make_corpus.py --check

echo
echo "== one sentence, asked from C and from Python =="
CFLAGS="-O2 -g -Werror" make --no-print-directory -s -C samples/c predict \
  KLUERE_LIB="$PWD/dist/lib" KLUERE_INCLUDE="$PWD/include"
set --
if [ -n "${SENTENCE:-}" ]; then
  set -- "$SENTENCE" "${SUBJECT:?the subject's word}" "${SUBJECT_TYPE:-PER}" \
    "${OBJECT:?the object's word}" "${OBJECT_TYPE:-LOC}"
fi
bash samples/same_answer.sh "$out/model" "$@"
