#!/usr/bin/env bash
# Everything CI runs, cheap before slow; does its own set-up. `make test` calls it.
#   Tests/run.sh [STEP...]      steps: gates header release c samples cuda python unit address thread (default: all)
#   Tests/run.sh --python-only  only makes the Python environment in .build/venv; --bench-python: that of make bench
# A step's output goes to .build/logs; here come one line for each and the runners' closing lines.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
swift=${SWIFT:-swift}
python=${PYTHON:-python3}
clang=${CLANG:-$(dirname "$(command -v "$swift")")/clang}  # the sanitizers need the toolchain's own
logs=.build/logs
venv=$root/.build/venv
requirements=bindings/python/requirements-test.txt
swift_closing="Test run with"
step_limit=900  # seconds; no step comes near it unless it hangs
mkdir -p "$logs"

all_steps=(gates header release c samples cuda python unit address thread)
steps=("$@")
if [ ${#steps[@]} -eq 0 ]; then steps=("${all_steps[@]}"); fi

wanted() { [[ " ${steps[*]} " == *" $1 "* ]]; }
count=0

# run NAME CLOSING COMMAND...: CLOSING is a pattern for the lines worth showing when all is well.
run() {
  local name=$1 closing=$2 log begun=$SECONDS status=0
  shift 2
  log=$logs/${name// /-}.log
  timeout --kill-after=20 "$step_limit" "$@" > "$log" 2>&1 < /dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    echo "FAILED  $name after $((SECONDS - begun)) s (status $status); the end of $log:"
    tail -n 120 "$log" | sed 's/^/  | /'
    exit 1
  fi
  count=$((count + 1))
  printf 'ok  %4d s  %s\n' "$((SECONDS - begun))" "$name"
  grep -E -- "$closing" "$log" | tail -n 4 | sed 's/^/             /' || true
}

# environment FOLDER REQUIREMENTS: a Python environment with these packages; made anew when the list changes.
environment() {
  local folder=$1 list=$2 stamp
  if [ ! -f "$list" ]; then
    echo "there is no $list"
    return 1
  fi
  stamp=$(cat "$list" <("$python" --version) | sha256sum)
  if [ "$(cat "$folder/stamp" 2> /dev/null)" != "$stamp" ]; then
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list"
    echo "$stamp" > "$folder/stamp"
  fi
}

if [ "${1:-}" = --python-only ]; then
  environment "$venv" "$requirements"
  exit
fi
# For `make bench`: a folder of its own, so that the tests' one stays what their list says.
if [ "${1:-}" = --bench-python ]; then
  environment .build/bench-venv bindings/python/requirements-bench.txt
  exit
fi
for step in "${steps[@]}"; do
  if [[ " ${all_steps[*]} " != *" $step "* ]]; then
    echo "there is no step $step; steps: ${all_steps[*]}" >&2
    exit 2
  fi
done

# The environment is mostly waiting for the network and unpacking: it is made beside the first builds.
venv_job=
if wanted python; then
  environment "$venv" "$requirements" > "$logs/environment.log" 2>&1 < /dev/null &
  venv_job=$!
  trap 'if [ -n "$venv_job" ]; then kill "$venv_job" 2> /dev/null || true; fi' EXIT
fi

if wanted gates; then
  run "exports list" . "$python" Sources/Kluere/make_exports.py --check
  run "ctypes declarations" . "$python" bindings/python/generate_abi.py --check
  run "sample corpus" . "$python" samples/data/make_corpus.py --check
  run "traps" . "$python" Tests/gates/trap_gate.py
  run "text rules" . "$python" Tests/gates/text_gate.py
  run "readme" . "$python" Tests/gates/readme_gate.py
  # They include the library's inner headers, and nothing else of the tests compiles them.
  run "C of the benchmarks" . "$clang" -fsyntax-only -Wall -Wextra -Werror -Iinclude -ISources/CKluereCPU/include \
    bindings/python/benchmarks/counts.c bindings/python/benchmarks/products.c bindings/python/benchmarks/bench_serving.c
  run "swift format" . "$swift" format lint --strict -r Sources Tests Package.swift
fi

if wanted header; then
  run "header" "header gate" bash Tests/gates/header_gate.sh
fi

library=$root/dist/lib
if wanted release || wanted c || wanted samples || wanted python; then
  run "release build" "^dist/|Compiling,|Build of" make --no-print-directory build
fi
export KLUERE_LIBRARY=$library

if wanted release; then
  run "library" "library gate" "$python" Tests/gates/library_gate.py "$library/libkluere.so"
  run "install" "install gate" bash Tests/gates/install_gate.sh
fi

if wanted c; then
  run "C tests" "[0-9]+ (passed|failed)" \
    make --no-print-directory -j2 -C Tests/c LIB="$library" BUILD="$root/.build/c-tests" run
fi

if wanted samples; then
  run "samples" "micro-F1|the same" bash Tests/samples_test.sh
fi

# Without a GPU: the kernels' own source on the CPU, and whether they compile for each chip.
if wanted cuda; then
  nvrtc_venv=$root/.build/venv-nvrtc
  export -f environment
  run "CUDA kernels on the CPU" "[0-9]+ passed, " make --no-print-directory -j2 -C Tests/cuda/kernels CLANG="$clang" run
  run "CUDA kernels on the CPU, AddressSanitizer" "[0-9]+ passed, " \
    env ASAN_OPTIONS=detect_leaks=0 make --no-print-directory -j2 -C Tests/cuda/kernels \
    CC="$clang" CXX="$clang++" CLANG="$clang" \
    EXTRA="-fsanitize=address,undefined -fno-sanitize-recover=undefined" QUICK=1 \
    BUILD="$root/.build/cuda-kernels-address" run
  run "NVRTC environment" "^$" env python="$python" bash -euc "environment '$nvrtc_venv' Tests/cuda/requirements.txt"
  run "CUDA compile check" "compile check" "$nvrtc_venv/bin/python" Tests/cuda/compile_check.py
  run "CUDA declarations" "^CUDA" "$python" Tests/cuda/check_api.py .build/packages
  run "CUDA host side" "[0-9]+ (passed|failed)" make --no-print-directory -j2 -C Tests/cuda run
  run "CUDA host side, AddressSanitizer" "[0-9]+ (passed|failed)" env ASAN_OPTIONS=detect_leaks=1 \
    make --no-print-directory -j2 -C Tests/cuda CC="$clang" CXX="$clang++" EXTRA=-fsanitize=address \
    BUILD="$root/.build/cuda-address" run
fi

if wanted python; then
  if ! wait "$venv_job"; then
    echo "FAILED  python environment:"
    sed 's/^/  | /' "$logs/environment.log"
    exit 1
  fi
  venv_job=
  # A process a core, each with one thread of PyTorch and about a gigabyte; one that is done takes tests of another.
  workers=$(getconf _NPROCESSORS_ONLN)
  run "python tests" "[0-9]+ (passed|failed)" env PYTHONPATH="$root/bindings/python" PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false "$venv/bin/python" \
    -m pytest -q -n "$((workers < 4 ? workers : 4))" --dist worksteal -p no:cacheprovider --durations=15 bindings/python/tests
fi

if wanted unit; then
  run "swift tests" "$swift_closing" "$swift" test --explicit-target-dependency-import-check error
  if grep -E '(Sources|Tests)/.*: warning:' "$logs/swift-tests.log"; then
    echo "FAILED  swift tests: the compiler warned"
    exit 1
  fi
fi

# The CUDA target without a GPU: its host side on a stand-in driver, its kernels in the emulation.
# Leak checking would count what the test runner itself leaves behind. An allocation too large to be had gives NULL, as it
# does without a sanitizer: the tests ask for some.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 TSAN_OPTIONS=allocator_may_return_null=1
if wanted address; then
  run "swift tests, AddressSanitizer" "$swift_closing" \
    "$swift" test --sanitize=address --scratch-path .build/address ${ASAN_FILTER:+--filter "$ASAN_FILTER"}
  run "C tests, AddressSanitizer" "[0-9]+ (passed|failed)" \
    make --no-print-directory -j2 -C Tests/c CC="$clang" EXTRA=-fsanitize=address \
    LIB="$root/.build/address/debug" BUILD="$root/.build/c-tests-address" run
fi

if wanted thread; then
  run "swift tests, ThreadSanitizer" "$swift_closing" \
    "$swift" test --sanitize=thread --scratch-path .build/thread \
    --filter "${TSAN_FILTER:-CKluereCPUTests|KluereABITests|KluereServingTests}"
  programs=$root/.build/c-tests-thread
  run "C threads, ThreadSanitizer: build" "^$" make --no-print-directory -j2 -C Tests/c CC="$clang" EXTRA=-fsanitize=thread \
    LIB="$root/.build/thread/debug" BUILD="$programs" "$programs/threads"
  rm -rf "$programs/scratch" && mkdir -p "$programs/scratch"
  run "C threads, ThreadSanitizer" "[0-9]+ (passed|failed)" "$programs/threads" "$programs/scratch"
fi

echo "all steps in $SECONDS s"
echo "$count passed, 0 failed"
