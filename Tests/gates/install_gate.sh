#!/usr/bin/env bash
# make install, then a C program that finds kluere by pkg-config alone and runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=$PWD/.build/install
rm -rf "$prefix"
make --no-print-directory install PREFIX="$prefix"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
cat > "$prefix/version.c" <<'PROGRAM'
#include <kluere.h>
#include <stdio.h>
int main(void) {
  printf("%s\n", kluere_version_string());
  return kluere_abi_version() == KLUERE_ABI_VERSION ? 0 : 1;
}
PROGRAM
read -r -a flags <<< "$(pkg-config --cflags --libs kluere)"
cc -std=c11 -Wall -Wextra -Werror -o "$prefix/version" "$prefix/version.c" "${flags[@]}" -Wl,-rpath,"$prefix/lib"
version=$("$prefix/version")
if [ "$version" != "$(pkg-config --modversion kluere)" ]; then
  echo "the library says $version, kluere.pc $(pkg-config --modversion kluere)" >&2
  exit 1
fi
for name in "$prefix"/lib/libkluere.so*; do
  test -e "$name" || { echo "$name leads nowhere" >&2; exit 1; }
done
rm -rf "$prefix"
echo "install gate: a program built by pkg-config runs with kluere $version"
