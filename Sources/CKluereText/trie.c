/* trie.c - builds the trie: codes of characters, nodes in the order in which the keys make them, the hash table. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* ---- codes of characters ------------------------------------------------------------------------------------------ */
/* Pages of entries with the kinds of their characters, one for each page of kinds and one for each page with a character of a
 * key; codes in the order in which the keys have them. Returns KT_OK and the number of characters of all keys. */
static int make_entries(kt_trie *trie, const kt_key *keys, size_t count, const uint8_t *storage, const kt_kinds *kinds,
                        size_t *characters, uint32_t *codes) {
  size_t shared = kinds == NULL ? 1 : kinds->page_count;
  /* Which pages have a character of a key: these are their own. */
  uint8_t own[8192] = {1}; /* ASCII: page 0 */
  *characters = 0;
  for (size_t k = 0; k < count; k++) {
    for (size_t at = 0, step; at < keys[k].length; at += step) {
      own[kt_character(storage + keys[k].offset, at, keys[k].length, &step) >> 8] = 1;
      *characters += 1;
    }
  }
  size_t pages = shared;
  for (int page = 0; page < 8192; page++) pages += own[page];
  trie->pages = malloc(8192 * sizeof *trie->pages);
  trie->entries = malloc(pages * 256 * sizeof *trie->entries);
  if (trie->pages == NULL || trie->entries == NULL) return KT_NO_MEMORY;
  size_t next = 0;
  for (uint32_t page = 0; page < 8192; page++) {
    if (!own[page]) continue;
    const uint8_t *kind = kinds == NULL ? NULL : kinds->table + ((size_t)kinds->pages[page] << 8);
    for (int c = 0; c < 256; c++) trie->entries[next << 8 | (size_t)c] = kind == NULL ? 0 : kind[c] & 7;
    trie->pages[page] = (uint16_t)next++;
  }
  for (size_t page = 0; page < shared; page++) {
    const uint8_t *kind = kinds == NULL ? NULL : kinds->table + (page << 8);
    uint32_t *entries = trie->entries + ((next + page) << 8);
    for (int c = 0; c < 256; c++) entries[c] = kind == NULL ? 0 : kind[c] & 7;
  }
  for (int page = 0; page < 8192; page++) {
    if (!own[page]) trie->pages[page] = (uint16_t)(next + (kinds == NULL ? 0 : kinds->pages[page]));
  }
  *codes = 1; /* 0: in no key */
  for (size_t k = 0; k < count; k++) {
    for (size_t at = 0, step; at < keys[k].length; at += step) {
      uint32_t *place = kt_place(trie, kt_character(storage + keys[k].offset, at, keys[k].length, &step));
      if (*place >> 3 == 0) *place |= (*codes)++ << 3;
    }
  }
  return KT_OK;
}

/* ---- nodes -------------------------------------------------------------------------------------------------------- */
typedef struct node {
  uint32_t parent;
  uint32_t code;
  int32_t value; /* -1: no key ends here */
  int32_t has_children;
} node;

/* Nodes 0 and 1 are the roots. */
typedef struct builder {
  kt_slot *slots;
  uint32_t seed;
  uint32_t shift;
  node *nodes;
  size_t node_count;
} builder;

static const uint32_t seeds[] = {0x85EBCA77u, 0xC2B2AE3Du, 0x27D4EB2Fu, 0x165667B1u};
enum { SEEDS = sizeof seeds / sizeof *seeds };

/* Slots for `count` nodes: at most two thirds are taken. `larger`: that many times twice as many. */
static int make_slots(builder *b, size_t count, int attempt) {
  uint32_t bits = 4 + (uint32_t)(attempt / SEEDS);
  while (bits < 31 && (size_t)1 << bits < count + count / 2) bits++;
  if (bits > 30) return KT_TOO_LARGE;
  size_t total = ((size_t)1 << bits) + KT_REACH + 1; /* the last one stays free: every search ends */
  free(b->slots);
  b->slots = malloc(total * sizeof *b->slots);
  if (b->slots == NULL) return KT_NO_MEMORY;
  memset(b->slots, 0xFF, total * sizeof *b->slots);
  b->seed = seeds[attempt % SEEDS];
  b->shift = 32 - bits;
  return KT_OK;
}

/* The slot of a node's child, or the free one for it; NULL where too many others are in its way. */
static kt_slot *find_slot(const builder *b, uint32_t parent, uint32_t code) {
  kt_slot *slot = b->slots + kt_home(b->seed, b->shift, parent, code);
  for (int k = 0; k < KT_REACH; k++, slot++) {
    if (slot->parent == KT_FREE || (slot->parent == parent && slot->code == code)) return slot;
  }
  return NULL;
}

/* Makes the nodes of all keys; the table leads from each to its children. 0 where its slots crowd together. */
static int add_keys(builder *b, kt_trie *trie, const kt_key *keys, const size_t counts[2], const uint8_t *storage) {
  b->nodes[0] = b->nodes[1] = (node){KT_FREE, 0, -1, 0};
  b->node_count = 2;
  for (size_t k = 0; k < counts[0] + counts[1]; k++) {
    uint32_t group = k >= counts[0];
    uint32_t at = group;
    for (size_t place = 0, step; place < keys[k].length; place += step) {
      uint32_t code = kt_entry(trie, storage + keys[k].offset, place, keys[k].length, &step) >> 3;
      kt_slot *slot = find_slot(b, at, code);
      if (slot == NULL) return 0;
      if (slot->parent == KT_FREE) {
        *slot = (kt_slot){at, code, (uint32_t)b->node_count};
        b->nodes[at].has_children = 1;
        b->nodes[b->node_count++] = (node){at, code, -1, 0};
      }
      at = slot->next;
    }
    if (keys[k].length == 0) {
      trie->empty[group] = keys[k].value;
    } else {
      b->nodes[at].value = keys[k].value;
    }
  }
  return 1;
}

static uint32_t next_of(const builder *b, size_t place) {
  const node *n = &b->nodes[place];
  if (!n->has_children) return KT_LEAF | (uint32_t)n->value;
  return (uint32_t)place | (n->value >= 0 ? KT_END : 0);
}

/* Whether a search for a child that is not there could take long: it goes on to the next free slot. Only keys made for it do
 * that: random ones at two thirds of the slots give runs of some dozens. */
static int crowds(const builder *b) {
  size_t total = ((size_t)1 << (32 - b->shift)) + KT_REACH + 1, run = 0;
  for (size_t k = 0; k < total; k++) {
    run = b->slots[k].parent == KT_FREE ? 0 : run + 1;
    if (run > 4 * KT_REACH) return 1;
  }
  return 0;
}

/* The table as it stays: sized for the nodes there are, the roots' children in arrays of their own. */
static int place_nodes(builder *b, kt_trie *trie) {
  for (size_t k = 2; k < b->node_count; k++) {
    const node *n = &b->nodes[k];
    trie->values[k] = n->value;
    if (n->parent < 2) {
      trie->first[n->parent][n->code] = next_of(b, k);
      continue;
    }
    kt_slot *slot = find_slot(b, n->parent, n->code);
    if (slot == NULL) return 0;
    *slot = (kt_slot){n->parent, n->code, next_of(b, k)};
  }
  return !crowds(b);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */
/* Where slots crowd, which takes keys made for it, another seed is tried, and then larger tables. */
enum { ATTEMPTS = 4 * SEEDS };

static int build(builder *b, kt_trie *trie, const kt_key *keys, const size_t counts[2], const uint8_t *storage,
                 size_t characters, uint32_t codes) {
  int status = KT_TOO_LARGE;
  for (int attempt = 0, done = 0; attempt < ATTEMPTS && !done; attempt++) {
    status = make_slots(b, characters, attempt);
    if (status != KT_OK) return status;
    done = add_keys(b, trie, keys, counts, storage);
    if (!done) status = KT_TOO_LARGE;
  }
  if (status != KT_OK) return status;
  trie->values = malloc(b->node_count * sizeof *trie->values);
  for (int group = 0; group < 2; group++) {
    trie->first[group] = malloc(codes * sizeof *trie->first[group]);
    if (trie->first[group] == NULL || trie->values == NULL) return KT_NO_MEMORY;
    memset(trie->first[group], 0xFF, codes * sizeof *trie->first[group]);
  }
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    status = make_slots(b, b->node_count, attempt);
    if (status != KT_OK) return status;
    if (!place_nodes(b, trie)) continue;
    trie->slots = b->slots;
    trie->seed = b->seed;
    trie->shift = b->shift;
    b->slots = NULL;
    return KT_OK;
  }
  return KT_TOO_LARGE;
}

int kt_trie_create(kt_trie **out, const kt_key *keys, const size_t counts[2], const uint8_t *storage,
                   const kt_kinds *kinds) {
  builder b = {0};
  kt_trie *trie = calloc(1, sizeof *trie);
  if (trie == NULL) return KT_NO_MEMORY;
  trie->empty[0] = trie->empty[1] = -1;
  size_t characters = 0;
  uint32_t codes = 0;
  int status = make_entries(trie, keys, counts[0] + counts[1], storage, kinds, &characters, &codes);
  if (status == KT_OK && characters > KT_NODE / 2) status = KT_TOO_LARGE;
  if (status == KT_OK) {
    b.nodes = malloc((characters + 2) * sizeof *b.nodes);
    status = b.nodes == NULL ? KT_NO_MEMORY : build(&b, trie, keys, counts, storage, characters, codes);
  }
  free(b.nodes);
  free(b.slots);
  if (status == KT_OK) {
    *out = trie;
  } else {
    kt_trie_destroy(trie);
  }
  return status;
}

void kt_trie_destroy(kt_trie *trie) {
  if (trie == NULL) return;
  free(trie->slots);
  free(trie->values);
  free(trie->first[0]);
  free(trie->first[1]);
  free(trie->pages);
  free(trie->entries);
  free(trie);
}

int32_t kt_trie_value(const kt_trie *trie, int group, const uint8_t *key, size_t length) {
  if (length == 0) return trie->empty[group];
  uint32_t next = KT_NONE;
  for (size_t at = 0, step; at < length; at += step) {
    uint32_t code = kt_entry(trie, key, at, length, &step) >> 3;
    if (at == 0) {
      next = trie->first[group][code];
    } else if (next & KT_LEAF) {
      return -1;
    } else {
      next = kt_child(trie, next & KT_NODE, code);
    }
    if (next == KT_NONE) return -1;
  }
  if (next & KT_LEAF) return (int32_t)(next & ~KT_LEAF);
  return next & KT_END ? trie->values[next & KT_NODE] : -1;
}

uint32_t kt_code(const kt_trie *trie, uint32_t character) { return *kt_place(trie, character & 0x1FFFFF) >> 3; }

size_t kt_trie_longest(const kt_trie *trie, int group, const uint8_t *text, size_t begin, size_t end) {
  size_t found = begin;
  uint32_t next = 0;
  for (size_t at = begin, step; at < end && !(next & KT_LEAF);) {
    uint32_t code = kt_entry(trie, text, at, end, &step) >> 3;
    next = at == begin ? trie->first[group][code] : kt_child(trie, next & KT_NODE, code);
    if (next == KT_NONE) break;
    at += step;
    if (next & (KT_LEAF | KT_END)) found = at;
  }
  return found;
}
