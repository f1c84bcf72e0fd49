/* internal.h - the trie's insides, for the loops that walk it. */
#ifndef KLUERE_TEXT_INTERNAL_H
#define KLUERE_TEXT_INTERNAL_H
#include "kluere_text.h"

/* Steps of the trie go by characters: a Hangul syllable is one, not three. Each character of the keys has a small number, its
 * code. The children of the two roots stand in arrays by code, those of all other nodes in one hash table by node and code. */
typedef struct kt_slot {
  uint32_t parent; /* KT_FREE: nothing here */
  uint32_t code;
  uint32_t next; /* KT_LEAF | value, or the node, with KT_END if a key ends there */
} kt_slot;

#define KT_FREE 0xFFFFFFFFu
#define KT_NONE 0xFFFFFFFFu /* no child; no leaf has this value */
#define KT_LEAF 0x80000000u
#define KT_END 0x40000000u
#define KT_NODE 0x3FFFFFFFu
#define KT_REACH 256 /* slots from the one that the hash names to the last that may have the child */

struct kt_trie {
  kt_slot *slots;    /* 1 << (32 - shift), and KT_REACH more */
  uint32_t seed;
  uint32_t shift;
  int32_t *values;   /* of nodes with KT_END */
  uint32_t *first[2];/* of each group, by code: next, or KT_NONE */
  uint16_t *pages;   /* [8192] */
  uint32_t *entries; /* code << 3 | kind, 256 a page; the page of ASCII is page 0 */
  int32_t empty[2];  /* value of the empty key */
};

/* A kind, of tries that were made without kinds: kt_set_staying. */
#define KT_STAYS 1u

static inline uint32_t kt_home(uint32_t seed, uint32_t shift, uint32_t parent, uint32_t code) {
  return (parent * seed + code * 0x9E3779B1u) >> shift;
}

/* The child of a node for a code: its `next`, or KT_NONE. */
static inline uint32_t kt_child(const kt_trie *trie, uint32_t parent, uint32_t code) {
  const kt_slot *slot = trie->slots + kt_home(trie->seed, trie->shift, parent, code);
  for (;; slot++) {
    if (slot->parent == parent && slot->code == code) return slot->next;
    if (slot->parent == KT_FREE) return KT_NONE;
  }
}

/* The character at position < end, below 2^21, and its length. Malformed text: some character, a length within end. */
static inline uint32_t kt_character(const uint8_t *text, size_t position, size_t end, size_t *length) {
  const uint8_t *p = text + position;
  uint32_t lead = p[0];
  size_t available = end - position;
  if (lead >= 0xE0 && lead < 0xF0 && available >= 3) {
    *length = 3;
    return (lead & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
  }
  if (lead >= 0x80 && lead < 0xE0 && available >= 2) {
    *length = 2;
    return (lead & 0x1F) << 6 | (p[1] & 0x3F);
  }
  if (lead >= 0xF0 && available >= 4) {
    *length = 4;
    return (lead & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
  }
  *length = 1;
  return lead;
}

static inline uint32_t *kt_place(const kt_trie *trie, uint32_t character) {
  return &trie->entries[(uint32_t)trie->pages[character >> 8] << 8 | (character & 0xFF)];
}

/* code << 3 | kind of the character at position < end. */
static inline uint32_t kt_entry(const kt_trie *trie, const uint8_t *text, size_t position, size_t end, size_t *length) {
  if (text[position] < 0x80) {
    *length = 1;
    return trie->entries[text[position]];
  }
  return *kt_place(trie, kt_character(text, position, end, length));
}

/* ---- a character map's trie, in the layout of Darts-clone --------------------------------------------------------- */
static inline size_t kt_unit_offset(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }

static inline size_t kt_rule_start(const kt_character_map *map) { return kt_unit_offset(map->units[0]); }

/* The node after one byte more, SIZE_MAX: there is none. *is_rule: a rule ends there, units[node] has it. */
static inline size_t kt_rule_step(const kt_character_map *map, size_t node, uint8_t byte, int *is_rule) {
  node ^= byte;
  if (node >= map->unit_count) return SIZE_MAX;
  uint32_t unit = map->units[node];
  /* A leaf's unit never equals a byte: its highest bit is set. */
  if ((unit & 0x800000FFu) != byte) return SIZE_MAX;
  node ^= kt_unit_offset(unit);
  *is_rule = unit >> 8 & 1;
  return node < map->unit_count ? node : SIZE_MAX;
}
#endif
