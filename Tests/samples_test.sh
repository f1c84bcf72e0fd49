#!/usr/bin/env bash
# The samples, built strictly and run on samples/data for a few updates: C and Python train, then agree on a sentence.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
library=$PWD/dist/lib
scratch=.build/samples
data=samples/data
export KLUERE_LIBRARY=$library PYTHONPATH=$PWD/bindings/python PYTHONDONTWRITEBYTECODE=1
rm -rf "$scratch"
mkdir -p "$scratch"

make --no-print-directory -C samples/c clean
CFLAGS="-O2 -g -Werror" make --no-print-directory -C samples/c KLUERE_LIB="$library" KLUERE_INCLUDE="$PWD/include"
samples/c/train "$data/train.json" "$data/dev.json" "$scratch/c" "$data" 0.2
"$python" samples/python/train.py "$data/train.json" "$data/dev.json" "$scratch/python" "$data" 0.2

for model in c python; do
  bash samples/same_answer.sh "$scratch/$model"
done
sentence="별하늘은 솔뜰마루시에서 태어났다."
samples/c/predict "$scratch/c" "$sentence" 0 3 5 10 PER LOC > "$scratch/from-c"
"$python" samples/python/predict.py "$scratch/c" "$sentence" 0 3 5 10 PER LOC > "$scratch/from-python"
diff "$scratch/from-c" "$scratch/from-python"
samples/c/serve "$scratch/c" "$data/dev.json" 8 200

# The same on a GPU, or on the stand-in driver, which computes slowly: a model of width 8 and two updates.
if [ -z "${KLUERE_TEST_DEVICE:-}" ]; then
  make --no-print-directory -s -C Tests/cuda standin
  export KLUERE_CUDA_LIBRARIES=$PWD/.build/cuda/standin
fi
KLUERE_CACHE=$scratch/kernels "$python" -m kluere train "$data/train.json" --tokenizer "$data" --output "$scratch/gpu" \
  --hidden 8 --heads 2 --layers 1 --intermediate 8 --max-steps 2 --batch-size 2 --quiet --device cuda
KLUERE_CACHE=$scratch/kernels DEVICE=cuda bash samples/same_answer.sh "$scratch/gpu/model"

rm -rf "$scratch"
echo "the samples in C and in Python gave the same answers"
