/* staying.c - which characters of a trie's keys normalization leaves alone, so that a tokenizer can read the text itself. */
#include "internal.h"

/* Never in one cluster with another of these, but for CR LF (UAX 29). */
static inline int stands_alone(uint32_t c) {
  return (c < 0x300 && c != 0x0D) || (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x3400 && c < 0xA000) ||
         (c >= 0x3041 && c <= 0x3096) || (c >= 0x30A1 && c <= 0x30FF);
}

int kt_stays(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end) {
  for (size_t at = begin, length, start; at < end; at += length) {
    if (!stands_alone(kt_character(text, at, end, &length))) return 0;
    if (kt_shortest_rule(map, text, at, at + length, &start) > 0) return 0;
  }
  return 1;
}

static inline int is_space_or_control(uint32_t c) { return c <= 0x20 || (c >= 0x7F && c <= 0xA0); }

enum { LAST = 0xD7A3 }; /* of those that stand alone */

void kt_set_staying(kt_trie *trie) {
  for (uint32_t c = 0; c <= LAST; c++) {
    uint32_t *entry = kt_place(trie, c);
    if (*entry >> 3 != 0 && stands_alone(c) && !is_space_or_control(c)) *entry |= KT_STAYS;
  }
}

void kt_clear_staying(kt_trie *trie, uint32_t character) { *kt_place(trie, character & 0x1FFFFF) &= ~KT_STAYS; }

static size_t encode(uint32_t c, uint8_t *bytes) {
  if (c < 0x80) {
    bytes[0] = (uint8_t)c;
    return 1;
  }
  if (c < 0x800) {
    bytes[0] = (uint8_t)(0xC0 | c >> 6);
    bytes[1] = (uint8_t)(0x80 | (c & 0x3F));
    return 2;
  }
  bytes[0] = (uint8_t)(0xE0 | c >> 12);
  bytes[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
  bytes[2] = (uint8_t)(0x80 | (c & 0x3F));
  return 3;
}

/* Whether the map's trie goes on from `node`, where one character ends, through bytes[0, used) and more to a whole second
 * character that stands alone. *steps bounds what a map made for it can cost; beyond it the answer is yes. */
static int goes_on(const kt_character_map *map, size_t node, uint8_t *bytes, size_t used, size_t *steps) {
  uint32_t low = used == 0 ? 0x01 : 0x80, high = used == 0 ? 0xEF : 0xBF;
  for (uint32_t byte = low; byte <= high; byte++) {
    if (*steps == 0) return 1;
    --*steps;
    int is_rule;
    size_t next = kt_rule_step(map, node, (uint8_t)byte, &is_rule);
    if (next == SIZE_MAX) continue;
    bytes[used] = (uint8_t)byte;
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xE0 ? 2 : 3;
    if (used + 1 < length) {
      if (is_rule || goes_on(map, next, bytes, used + 1, steps)) return 1;
    } else if (stands_alone(kt_character(bytes, 0, length, &length))) {
      return 1;
    }
  }
  return 0;
}

/* Whether the map has a rule for the character, or, with `longer`, may have one for it and another that stands alone. */
static int is_ruled(const kt_character_map *map, uint32_t c, int longer, size_t *steps) {
  uint8_t bytes[3], second[3];
  size_t length = encode(c, bytes), start, node = kt_rule_start(map);
  int is_rule;
  if (kt_shortest_rule(map, bytes, 0, length, &start) > 0) return 1;
  for (size_t k = 0; k < length && node != SIZE_MAX; k++) node = kt_rule_step(map, node, bytes[k], &is_rule);
  return longer && node != SIZE_MAX && goes_on(map, node, second, 0, steps);
}

int kt_clear_ruled(kt_trie *trie, const kt_character_map *map, int longer) {
  if (map->unit_count == 0) return 0;
  size_t steps = 4000000; /* nmt_nfkc takes 0.4 of them for 64,000 Korean pieces */
  for (uint32_t c = 0; c <= LAST; c++) {
    uint32_t *entry = kt_place(trie, c);
    if (*entry >> 3 != 0 && *entry & KT_STAYS && is_ruled(map, c, longer, &steps)) *entry &= ~KT_STAYS;
  }
  return is_ruled(map, 0x20, longer, &steps);
}
