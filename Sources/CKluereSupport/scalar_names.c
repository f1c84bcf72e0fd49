// The library never asks for a character's name. The linker gives the Swift runtime's calls for one to this (--wrap in
// Package.swift), so that its table of all names, more than half a megabyte, stays out of the file.
#include <stdint.h>

intptr_t __wrap__swift_stdlib_getScalarName(uint32_t scalar, uint8_t *buffer, intptr_t capacity);

intptr_t __wrap__swift_stdlib_getScalarName(uint32_t scalar, uint8_t *buffer, intptr_t capacity) {
  (void)scalar;
  (void)buffer;
  (void)capacity;
  return 0; // as for a character without a name
}
