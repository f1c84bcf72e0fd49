/* unigram.c - the most probable segmentation (Kudo 2018): Viterbi over characters. */
#include "internal.h"

#pragma STDC FP_CONTRACT OFF

static inline double sum(double a, double b, int single) { return single ? (double)((float)a + (float)b) : a + b; }

static inline double candidate(const kt_unigram *model, int32_t id, double here, size_t bytes, int single) {
  if (model->user != NULL && model->user[id]) return (double)bytes * model->user_score - 0.1 + here;
  return sum(model->scores[id], here, single);
}

/* What is kept of a score. */
static inline double kept(double score, int single) { return single ? (double)(float)score : score; }

/* The best way to each of nodes[1 ... characters]; nodes[0].score is what the text before has. */
static inline __attribute__((always_inline)) void search(const kt_unigram *model, kt_lattice_node *nodes,
                                                         uint32_t characters, int single) {
  const kt_trie *trie = model->trie;
  for (uint32_t from = 0; from < characters; from++) {
    double here = nodes[from].score;
    uint32_t next = trie->first[0][nodes[from].code];
    int has_single = next != KT_NONE && next & (KT_LEAF | KT_END);
    for (uint32_t to = from + 1; next != KT_NONE; to++) {
      if (next & (KT_LEAF | KT_END)) {
        int32_t id = next & KT_LEAF ? (int32_t)(next & ~KT_LEAF) : trie->values[next & KT_NODE];
        double score = candidate(model, id, here, nodes[to].place - nodes[from].place, single);
        if (nodes[to].start == KT_NONE || score > nodes[to].score) {
          nodes[to].score = kept(score, single);
          nodes[to].start = from;
          nodes[to].id = id;
        }
        if (next & KT_LEAF) break;
      }
      if (to == characters) break;
      next = kt_child(trie, next & KT_NODE, nodes[to].code);
    }
    if (!has_single) {
      kt_lattice_node *to = &nodes[from + 1];
      double score = sum(model->unknown_score, here, single);
      if (to->start == KT_NONE || score > to->score) {
        to->score = score;
        to->start = from;
        to->id = model->unknown;
      }
    }
  }
}

/* Turns the ways back into one way forward: each node on it tells the next in `start`, with the piece's id. */
static inline void turn(kt_lattice_node *nodes, uint32_t characters) {
  uint32_t to = characters, after = KT_NONE;
  int32_t id = -1;
  for (;;) {
    uint32_t from = nodes[to].start;
    int32_t piece = nodes[to].id;
    nodes[to].start = after;
    nodes[to].id = id;
    if (to == 0) return;
    after = to;
    id = piece;
    to = from;
  }
}

void kt_segment(const kt_unigram *model, const uint8_t *text, size_t count, kt_lattice_node *nodes) {
  uint32_t characters = 0;
  for (size_t at = 0, length; at < count; at += length) {
    uint32_t code = kt_entry(model->trie, text, at, count, &length) >> 3;
    nodes[characters++] = (kt_lattice_node){0, KT_NONE, -1, code, (uint32_t)at};
  }
  nodes[characters] = (kt_lattice_node){0, KT_NONE, -1, 0, (uint32_t)count};
  if (model->single) {
    search(model, nodes, characters, 1);
  } else {
    search(model, nodes, characters, 0);
  }
  turn(nodes, characters);
}

/* ---- text that normalization leaves alone ------------------------------------------------------------------------- */
/* One word's tokens; 0: it has unknown pieces, or there is no room. */
static inline int write_word(const kt_lattice_node *nodes, int32_t unknown, size_t lone_end, int32_t word,
                             kt_token *tokens, size_t capacity, size_t *count) {
  size_t used = *count;
  for (uint32_t from = 0; nodes[from].start != KT_NONE;) {
    uint32_t to = nodes[from].start;
    if (nodes[from].id == unknown || used == capacity) return 0;
    /* A mark alone has a place of its own. */
    size_t end = from == 0 && to == 1 && lone_end != SIZE_MAX ? lone_end : nodes[to].place;
    tokens[used++] = (kt_token){nodes[from].place, end, nodes[from].id, word};
    from = to;
  }
  *count = used;
  return 1;
}

static inline __attribute__((always_inline)) int
segment_words(const kt_unigram *model, const kt_plain *plain, const uint8_t *text, size_t begin, size_t end, int32_t *word,
              kt_token *tokens, size_t capacity, size_t *count, int single) {
  kt_lattice_node nodes[KT_WORD_ROOM + 1];
  const kt_trie *trie = model->trie;
  int32_t number = *word;
  size_t used = 0;
  double score = 0;
  enum kt_mark mark = plain->first;
  for (size_t at = begin; at < end;) {
    uint32_t characters = 0;
    size_t word_begin = at, lone_end = SIZE_MAX;
    if (mark != KT_MARK_NONE) {
      /* The space before the word, or nothing. */
      size_t place = mark == KT_MARK_SPACE ? at - 1 : at;
      nodes[characters++] = (kt_lattice_node){score, KT_NONE, -1, plain->mark_code, (uint32_t)place};
    }
    while (at < end && text[at] != 0x20) {
      size_t length;
      uint32_t entry = kt_entry(trie, text, at, end, &length);
      if (!(entry & KT_STAYS) || characters == KT_WORD_ROOM) return 0;
      nodes[characters++] = (kt_lattice_node){score, KT_NONE, -1, entry >> 3, (uint32_t)at};
      at += length;
      if (mark == KT_MARK_FIRST && lone_end == SIZE_MAX) lone_end = at;
    }
    if (at == word_begin) return 0;
    nodes[characters] = (kt_lattice_node){0, KT_NONE, -1, 0, (uint32_t)at};
    search(model, nodes, characters, single);
    if (single) score = nodes[characters].score;
    turn(nodes, characters);
    if (!write_word(nodes, model->unknown, lone_end, number, tokens, capacity, &used)) return 0;
    number = (int32_t)((uint32_t)number + 1);
    mark = plain->others;
    if (at < end && ++at == end) return 0;
  }
  *word = number;
  *count = used;
  return 1;
}

int kt_segment_plain(const kt_unigram *model, const kt_plain *plain, const uint8_t *text, size_t begin, size_t end,
                     int32_t *word, kt_token *tokens, size_t capacity, size_t *count) {
  if (end > UINT32_MAX - 1) return 0;
  return model->single ? segment_words(model, plain, text, begin, end, word, tokens, capacity, count, 1)
                       : segment_words(model, plain, text, begin, end, word, tokens, capacity, count, 0);
}
