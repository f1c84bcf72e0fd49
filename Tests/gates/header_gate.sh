#!/usr/bin/env bash
# The header alone, as every C and C++ that the README promises, by both compilers, without a warning.
set -euo pipefail
cd "$(dirname "$0")/../.."

flags=(-fsyntax-only -Wall -Wextra -Wpedantic -Werror -Iinclude)
clang=${CLANG:-$(dirname "$(command -v swift)")/clang}
combinations=0
program='#include <kluere.h>
#include <kluere.h>
int main(void) { return kluere_abi_version() != KLUERE_ABI_VERSION; }'

check() { # compiler, language, standard
  if ! command -v "$1" > /dev/null; then
    echo "header gate: $1 is not here, $3 NOT CHECKED with it" >&2
    [ -z "${CI:-}" ] || exit 1
    return
  fi
  "$1" "${flags[@]}" -x "$2" -std="$3" - <<< "$program"
  combinations=$((combinations + 1))
}

for standard in c99 c11 c17; do
  check gcc c "$standard"
  check "$clang" c "$standard"
done
for standard in c++11 c++17; do
  check g++ c++ "$standard"
  check "$clang++" c++ "$standard"
done
echo "header gate: $combinations combinations of compiler and standard, no warnings"
