/* trie.c - builds the trie: codes of characters, nodes in the order in which the keys make them, the hash table. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* ---- codes of characters ------------------------------------------------------------------------------------------ */
/* Pages of entries with the kinds of their characters, one for each page of kinds and one for each page with a character of a
 * key; codes in the order in which the keys have them. */
static int make_entries(kt_trie *trie, const kt_key *keys, size_t count, const uint8_t *storage, const kt_kinds *kinds,
                        uint32_t *codes) {
  size_t shared = kinds == NULL ? 1 : kinds->page_count;
  /* Which pages have a character of a key: these are their own. */
  uint8_t own[8192] = {1}; /* ASCII: page 0 */
  for (size_t k = 0; k < count; k++) {
    for (size_t at = 0, step; at < keys[k].length; at += step) {
      own[kt_character(storage + keys[k].offset, at, keys[k].length, &step) >> 8] = 1;
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
  uint32_t has_children : 1;
  uint32_t end : 31; /* value + 1 of the key that ends here, 0: none does */
} node;

/* Nodes in the order in which the keys make them, 0 and 1 the roots, and a table that leads from each to its children but for
 * the roots, whose children the trie has in arrays. Both grow with the nodes, not with the characters of the keys: most of a
 * vocabulary's pieces begin as others do. */
typedef struct builder {
  kt_slot *slots;
  uint32_t bits; /* 1 << bits slots, and KT_REACH + 1 more; 0: none yet */
  int seed;
  node *nodes;
  size_t node_count;
  size_t room; /* nodes that may be there before the table is full */
  size_t most; /* nodes that may be there at all */
} builder;

static const uint32_t seeds[] = {0x85EBCA77u, 0xC2B2AE3Du, 0x27D4EB2Fu, 0x165667B1u};
enum { SEEDS = sizeof seeds / sizeof *seeds };

/* The last one stays free: every search ends. */
static size_t slot_count(uint32_t bits) { return ((size_t)1 << bits) + KT_REACH + 1; }

/* Free slots for `count` nodes: at most two thirds are taken. */
static int make_slots(builder *b, size_t count) {
  uint32_t bits = 4;
  while (bits < 31 && (size_t)1 << bits < count + count / 2) bits++;
  if (bits > 30) return KT_TOO_LARGE;
  if (bits != b->bits) {
    free(b->slots); /* before the new ones: both would be a third more */
    b->bits = bits;
    b->slots = malloc(slot_count(bits) * sizeof *b->slots);
    if (b->slots == NULL) return KT_NO_MEMORY;
  }
  memset(b->slots, 0xFF, slot_count(bits) * sizeof *b->slots);
  return KT_OK;
}

/* The slot of a node's child, or the free one for it; NULL where too many others are in its way. */
static kt_slot *find_slot(const builder *b, uint32_t parent, uint32_t code) {
  kt_slot *slot = b->slots + kt_home(seeds[b->seed], 32 - b->bits, parent, code);
  for (int k = 0; k < KT_REACH; k++, slot++) {
    if (slot->parent == KT_FREE || (slot->parent == parent && slot->code == code)) return slot;
  }
  return NULL;
}

/* Whether a search for a child that is not there could take long: it goes on to the next free slot. Only keys made for it do
 * that: random ones at two thirds of the slots give runs of some dozens. */
static int crowds(const builder *b) {
  size_t run = 0;
  for (size_t k = 0; k < slot_count(b->bits); k++) {
    run = b->slots[k].parent == KT_FREE ? 0 : run + 1;
    if (run > 4 * KT_REACH) return 1;
  }
  return 0;
}

static uint32_t next_of(const builder *b, size_t place) {
  const node *n = &b->nodes[place];
  if (!n->has_children) return KT_LEAF | (n->end - 1);
  return (uint32_t)place | (n->end > 0 ? KT_END : 0);
}

/* Nodes into free slots. `whole`: no more will come, and slots say where keys end. 0 where they crowd. */
static int place_nodes(builder *b, kt_trie *trie, int whole) {
  for (size_t k = 2; k < b->node_count; k++) {
    const node *n = &b->nodes[k];
    uint32_t next = whole ? next_of(b, k) : (uint32_t)k;
    if (n->parent < 2) {
      trie->first[n->parent][n->code] = next;
      continue;
    }
    kt_slot *slot = find_slot(b, n->parent, n->code);
    if (slot == NULL) return 0;
    *slot = (kt_slot){n->parent, n->code, next};
  }
  return !whole || !crowds(b);
}

/* A table for `count` nodes with those that there are. Where slots crowd, which takes keys made for it, another seed is
 * tried. */
static int make_table(builder *b, kt_trie *trie, size_t count, int whole) {
  for (; b->seed < SEEDS; b->seed++) {
    int status = make_slots(b, count);
    if (status != KT_OK) return status;
    if (place_nodes(b, trie, whole)) return KT_OK;
  }
  return KT_TOO_LARGE;
}

/* Room for `count` nodes or more. */
static int make_room(builder *b, kt_trie *trie, size_t count) {
  int status = make_table(b, trie, count, 0);
  if (status != KT_OK) return status;
  b->room = ((size_t)2 << b->bits) / 3;
  node *nodes = realloc(b->nodes, b->room * sizeof *nodes);
  if (nodes == NULL) return KT_NO_MEMORY;
  b->nodes = nodes;
  return KT_OK;
}

/* The node's child for a code, made if it is not there. */
static int step_to(builder *b, kt_trie *trie, uint32_t at, uint32_t code, uint32_t *child) {
  for (;;) {
    kt_slot *slot = at < 2 ? NULL : find_slot(b, at, code);
    int crowded = at >= 2 && slot == NULL;
    uint32_t next = at < 2 ? trie->first[at][code] : crowded ? KT_NONE : slot->next;
    if (next != KT_NONE) {
      *child = next;
      return KT_OK;
    }
    if (crowded) {
      b->seed++;
    } else if (b->node_count == b->most) {
      return KT_TOO_LONG;
    } else if (b->node_count < b->room) {
      uint32_t made = (uint32_t)b->node_count++;
      if (at < 2) {
        trie->first[at][code] = made;
      } else {
        *slot = (kt_slot){at, code, made};
      }
      b->nodes[at].has_children = 1;
      b->nodes[made] = (node){at, code, 0, 0};
      *child = made;
      return KT_OK;
    }
    int status = make_room(b, trie, crowded ? b->room : 2 * b->room);
    if (status != KT_OK) return status;
  }
}

/* Makes the nodes of all keys. */
static int add_keys(builder *b, kt_trie *trie, const kt_key *keys, const size_t counts[2], const uint8_t *storage) {
  b->node_count = 0;
  int status = make_room(b, trie, counts[0] + counts[1] + 2);
  if (status != KT_OK) return status;
  b->nodes[0] = b->nodes[1] = (node){KT_FREE, 0, 0, 0};
  b->node_count = 2;
  for (size_t k = 0; k < counts[0] + counts[1]; k++) {
    uint32_t group = k >= counts[0];
    uint32_t at = group;
    for (size_t place = 0, step; place < keys[k].length; place += step) {
      uint32_t code = kt_entry(trie, storage + keys[k].offset, place, keys[k].length, &step) >> 3;
      status = step_to(b, trie, at, code, &at);
      if (status != KT_OK) return status;
    }
    if (keys[k].length == 0) {
      trie->empty[group] = keys[k].value;
    } else {
      b->nodes[at].end = ((uint32_t)keys[k].value + 1) & 0x7FFFFFFFu;
    }
  }
  return KT_OK;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */
/* The nodes' values, in the memory of the nodes, which end here. */
static int32_t *values_of(builder *b) {
  unsigned char *bytes = (unsigned char *)b->nodes;
  for (size_t k = 0; k < b->node_count; k++) {
    int32_t value = (int32_t)b->nodes[k].end - 1;
    memcpy(bytes + k * sizeof value, &value, sizeof value);
  }
  b->nodes = NULL;
  void *smaller = realloc(bytes, b->node_count * sizeof(int32_t));
  return smaller == NULL ? (void *)bytes : smaller;
}

static int build(builder *b, kt_trie *trie, const kt_key *keys, const size_t counts[2], const uint8_t *storage,
                 uint32_t codes) {
  for (int group = 0; group < 2; group++) {
    trie->first[group] = malloc(codes * sizeof *trie->first[group]);
    if (trie->first[group] == NULL) return KT_NO_MEMORY;
    memset(trie->first[group], 0xFF, codes * sizeof *trie->first[group]);
  }
  int status = add_keys(b, trie, keys, counts, storage);
  if (status == KT_OK) status = make_table(b, trie, b->node_count, 1);
  if (status != KT_OK) return status;
  trie->values = values_of(b);
  trie->slots = b->slots;
  trie->seed = seeds[b->seed];
  trie->shift = 32 - b->bits;
  b->slots = NULL;
  return KT_OK;
}

int kt_trie_create(kt_trie **out, const kt_key *keys, const size_t counts[2], const uint8_t *storage,
                   const kt_kinds *kinds, size_t most) {
  kt_trie *trie = calloc(1, sizeof *trie);
  if (trie == NULL) return KT_NO_MEMORY;
  builder b = {.most = most < SIZE_MAX - 2 ? most + 2 : most};
  trie->empty[0] = trie->empty[1] = -1;
  uint32_t codes = 0;
  int status = make_entries(trie, keys, counts[0] + counts[1], storage, kinds, &codes);
  if (status == KT_OK) status = build(&b, trie, keys, counts, storage, codes);
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
