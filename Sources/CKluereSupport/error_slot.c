// Thread-local and trivially destructible: no destructor runs at thread exit, and no Swift object is involved.
#include "kluere_support.h"

#include <string.h>

static _Thread_local char slot[KS_ERROR_CAPACITY];
static _Thread_local size_t slot_length;

// The longest prefix of at most limit bytes that does not end inside a code point.
static size_t cut_between_code_points(const char *utf8, size_t length, size_t limit) {
  if (length <= limit) return length;
  while (limit > 0 && ((unsigned char)utf8[limit] & 0xC0) == 0x80) limit--;
  return limit;
}

void ks_error_set(const char *utf8, size_t length) {
  if (!utf8) length = 0;
  slot_length = cut_between_code_points(utf8, length, KS_ERROR_CAPACITY - 1);
  for (size_t i = 0; i < slot_length; i++) {
    unsigned char byte = (unsigned char)utf8[i];
    slot[i] = byte < 0x20 || byte == 0x7F ? ' ' : utf8[i];
  }
  slot[slot_length] = 0;
}

size_t ks_error_copy(char *buffer, size_t capacity) {
  if (buffer && capacity > 0) {
    size_t length = cut_between_code_points(slot, slot_length, capacity - 1);
    memcpy(buffer, slot, length);
    buffer[length] = 0;
  }
  return slot_length + 1;
}
