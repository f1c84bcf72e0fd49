/* offsets.c - where UTF-8 is malformed, and how many characters lie between two places of a text. */
#include <string.h>

#include "internal.h"

static inline uint64_t load(const uint8_t *text) {
  uint64_t bytes;
  memcpy(&bytes, text, 8);
  return bytes;
}

size_t kt_first_invalid(const uint8_t *text, size_t count) {
  size_t at = 0;
  while (at < count) {
    uint32_t lead = text[at];
    if (lead < 0x80) {
      at++;
      while (count - at >= 8 && (load(text + at) & UINT64_C(0x8080808080808080)) == 0) at += 8;
      continue;
    }
    /* The second byte's range leaves out overlong forms, surrogates and what lies above U+10FFFF. */
    uint32_t low = 0x80, high = 0xBF;
    size_t length;
    if (lead >= 0xE1 && lead <= 0xEC) {
      length = 3;
      /* Most of Hangul, in a row. */
      while (count - at >= 4 && text[at] >= 0xE1 && text[at] <= 0xEC && (text[at + 1] & 0xC0) == 0x80 &&
             (text[at + 2] & 0xC0) == 0x80) {
        at += 3;
      }
      if (at == count || text[at] != lead) continue;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return at;
    }
    if (count - at < length || text[at + 1] < low || text[at + 1] > high || (length > 2 && (text[at + 2] & 0xC0) != 0x80) ||
        (length > 3 && (text[at + 3] & 0xC0) != 0x80)) {
      return at;
    }
    at += length;
  }
  return count;
}

static inline uint64_t ones(uint64_t bytes) { return bytes * UINT64_C(0x0101010101010101) >> 56; }

/* Characters that begin in text[begin, end), or UTF-16 units: characters of four bytes count twice. */
static inline size_t units(const uint8_t *text, size_t begin, size_t end, int utf16) {
  const uint64_t low = UINT64_C(0x0101010101010101);
  size_t count = 0;
  for (; end - begin >= 8; begin += 8) {
    uint64_t bytes = load(text + begin);
    count += 8 - ones(bytes >> 7 & ~(bytes >> 6) & low); /* without those of 10xxxxxx */
    if (utf16) count += ones(bytes >> 7 & bytes >> 6 & bytes >> 5 & bytes >> 4 & low);
  }
  for (; begin < end; begin++) {
    count += (text[begin] & 0xC0) != 0x80;
    if (utf16) count += text[begin] >= 0xF0;
  }
  return count;
}

/* The same for a few bytes, with one load where the text has eight from there on. */
static inline size_t few_units(const uint8_t *text, size_t begin, size_t end, size_t length, int utf16) {
  size_t count = end - begin;
  if (count == 0) return 0;
  if (utf16 || count > 8 || length - begin < 8) return units(text, begin, end, utf16);
  uint64_t bytes = load(text + begin);
  uint64_t continuing = bytes >> 7 & ~(bytes >> 6) & UINT64_C(0x0101010101010101);
  return count - ones(continuing << 8 * (8 - count)); /* those behind the end leave; bytes lie in memory low first */
}

/* Counts go on from the end or the begin of the token before: one pass over the text, also where tokens overlap. */
static inline void convert(kt_token *tokens, size_t count, const uint8_t *text, size_t length, int utf16) {
  size_t begin = 0, begin_units = 0, end = 0, end_units = 0;
  for (size_t k = 0; k < count; k++) {
    size_t b = tokens[k].begin < length ? tokens[k].begin : length;
    size_t e = tokens[k].end < length ? tokens[k].end : length;
    if (b >= end) {
      begin_units = end_units + few_units(text, end, b, length, utf16);
    } else if (b != begin) {
      begin_units = b > begin ? begin_units + units(text, begin, b, utf16) : units(text, 0, b, utf16);
    }
    if (e != end || b >= end) {
      end_units = e >= b ? begin_units + few_units(text, b, e, length, utf16) : units(text, 0, e, utf16);
    }
    begin = b;
    end = e;
    tokens[k].begin = begin_units;
    tokens[k].end = end_units;
  }
}

void kt_convert_offsets(kt_token *tokens, size_t count, const uint8_t *text, size_t length, int utf16) {
  if (utf16) {
    convert(tokens, count, text, length, 1);
  } else {
    convert(tokens, count, text, length, 0);
  }
}

void kt_character_places(const uint8_t *text, size_t begin, size_t end, size_t *begins, size_t *ends) {
  for (size_t at = begin, length; at < end; at += length) {
    kt_character(text, at, end, &length);
    for (size_t k = 0; k < length; k++) {
      *begins++ = at;
      *ends++ = at + length;
    }
  }
}
