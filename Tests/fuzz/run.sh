#!/usr/bin/env bash
# Coverage-guided fuzzing of everything that reads untrusted files, under AddressSanitizer. Not part of `make test`, which
# replays the corpus (FuzzCorpusTests).
#   Tests/fuzz/run.sh RUNS [READER...]     readers: json index weights sentencepiece tokenizer (default: all)
# New inputs are collected in .build-fuzz/found/READER; what crashes, hangs for a second or takes more than 512 MB ends the
# run and is left beside them. Seeds are Tests/fuzz/corpus/READER.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:?number of runs}
shift
readers=("$@")
if [ ${#readers[@]} -eq 0 ]; then readers=(json index weights sentencepiece tokenizer); fi
swift=${SWIFT:-swift}
scratch=.build-fuzz
sanitizers=fuzzer,address
# SwiftPM names the package after its folder, as an identifier.
package=$(basename "$PWD" | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9\n' _)

"$swift" build -c release --target KluereModel --scratch-path $scratch -Xswiftc -sanitize=$sanitizers \
  -Xcc -fsanitize=fuzzer-no-link,address > $scratch.log 2>&1 < /dev/null || { cat $scratch.log; exit 1; }
rm -f $scratch.log
folders=()
maps=()
# KluereModel and all that it stands on, which is all that was built.
for folder in "$scratch"/release/*Kluere*.build; do
  folders+=("$folder")
  if [ -f "$folder/module.modulemap" ]; then maps+=(-Xcc "-fmodule-map-file=$folder/module.modulemap"); fi
done
objects=$(find "${folders[@]}" -name '*.o')
for reader in "${readers[@]}"; do
  upper=$(echo "$reader" | tr '[:lower:]' '[:upper:]')
  # shellcheck disable=SC2086
  "${swift}c" -O -parse-as-library -sanitize=$sanitizers -package-name "$package" -D "FUZZ_$upper" \
    -I $scratch/release/Modules "${maps[@]}" \
    -o "$scratch/fuzz-$reader" Tests/fuzz/FuzzTarget.swift $objects
  found=$scratch/found/$reader
  mkdir -p "$found" "Tests/fuzz/corpus/$reader"
  echo "== $reader"
  ASAN_OPTIONS=detect_leaks=0 "$scratch/fuzz-$reader" -runs="$runs" -timeout=1 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -max_len=8192 -artifact_prefix="$found/bad-" -print_final_stats=1 "$found" "Tests/fuzz/corpus/$reader" \
    > "$scratch/$reader.log" 2>&1 || { tail -n 60 "$scratch/$reader.log"; exit 1; }
  grep -E "DONE|exec|stat::" "$scratch/$reader.log" | tail -n 8
done
