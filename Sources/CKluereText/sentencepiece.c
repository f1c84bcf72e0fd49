/* sentencepiece.c - normalization as the SentencePiece library does it: the longest rule of the character map at each place,
 * spaces marked, extra ones removed. */
#include "internal.h"

static const uint8_t space_mark[3] = {0xE2, 0x96, 0x81}; /* U+2581 */

/* Rules found, the shortest first; with `shortest` it stops at the first. */
static inline size_t find_rule(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end, size_t *start,
                               int shortest) {
  if (map->unit_count == 0) return 0;
  const uint32_t *units = map->units;
  size_t found = 0;
  size_t node = kt_rule_start(map);
  size_t limit = end - begin > KT_MAXIMUM_RULE ? begin + KT_MAXIMUM_RULE : end;
  for (size_t at = begin; at < limit && text[at] != 0;) {
    int is_rule;
    node = kt_rule_step(map, node, text[at], &is_rule);
    if (node == SIZE_MAX) break;
    at++;
    if (is_rule) {
      size_t place = units[node] & 0x7FFFFFFFu;
      if (place < map->replacement_count) {
        *start = place;
        found = at - begin;
        if (shortest) break;
      }
    }
  }
  return found;
}

size_t kt_longest_rule(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end, size_t *start) {
  return find_rule(map, text, begin, end, start, 0);
}

size_t kt_shortest_rule(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end, size_t *start) {
  return find_rule(map, text, begin, end, start, 1);
}

/* What the text at `at` becomes: *from, ended by a NUL if *is_rule, else *length bytes; returns the bytes that it takes. */
static inline size_t step(const kt_normalizer *normalizer, const uint8_t *text, size_t at, size_t end,
                          const uint8_t **from, int *is_rule) {
  *from = text + at;
  *is_rule = 0;
  if (normalizer->user != NULL) {
    size_t stop = kt_trie_longest(normalizer->user, 0, text, at, end);
    if (stop > at) return stop - at;
  }
  size_t start = 0;
  size_t length = kt_longest_rule(&normalizer->map, text, at, end, &start);
  if (length > 0) {
    *from = normalizer->map.replacements + start;
    *is_rule = 1;
    return length;
  }
  kt_character(text, at, end, &length);
  return length;
}

/* A replacement's length: it ends with a NUL, and the last byte of all of them is one. */
static inline size_t made(const uint8_t *from, int is_rule, size_t taken) {
  if (!is_rule) return taken;
  size_t length = 0;
  while (from[length] != 0) length++;
  return length;
}

size_t kt_leading_spaces(const kt_normalizer *normalizer, const uint8_t *text, size_t begin, size_t end) {
  size_t at = begin;
  while (at < end) {
    const uint8_t *from;
    int is_rule;
    size_t taken = step(normalizer, text, at, end, &from, &is_rule);
    if (made(from, is_rule, taken) != 1 || from[0] != 0x20) break;
    at += taken;
  }
  return at - begin;
}

void kt_normalize(const kt_normalizer *normalizer, const uint8_t *text, size_t *position, size_t end, int32_t *after_space,
                  uint8_t *bytes, size_t *origins, size_t *length, size_t capacity) {
  size_t at = *position;
  size_t used = *length;
  int after = *after_space != 0;
  while (at < end) {
    const uint8_t *from;
    int is_rule;
    size_t taken = step(normalizer, text, at, end, &from, &is_rule);
    size_t count = made(from, is_rule, taken);
    if (capacity - used < 3 * count) break;
    size_t k = 0;
    while (after && k < count && from[k] == 0x20) k++;
    if (k < count) {
      after = from[count - 1] == 0x20;
      if (!normalizer->removes_extra_spaces) after = 0;
    }
    for (; k < count; k++) {
      if (from[k] == 0x20 && normalizer->escapes_spaces) {
        for (int b = 0; b < 3; b++) {
          bytes[used] = space_mark[b];
          origins[used++] = at;
        }
      } else {
        bytes[used] = from[k];
        origins[used++] = at;
      }
    }
    at += taken;
  }
  *position = at;
  *length = used;
  *after_space = after;
}
