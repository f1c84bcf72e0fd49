/* unigram.c - the most probable segmentation (Kudo 2018): Viterbi over characters. */
#include "internal.h"

#pragma STDC FP_CONTRACT OFF

/* The best way to reach the character at `to` so far. */
static inline void offer(kt_lattice_node *to, double score, size_t from, int32_t id) {
  if (to->start == SIZE_MAX || score > to->score) {
    to->score = score;
    to->start = from;
    to->id = id;
  }
}

static inline double sum(double a, double b, int single) { return single ? (double)((float)a + (float)b) : a + b; }

static inline double candidate(const kt_unigram *model, int32_t id, double here, size_t bytes, int single) {
  if (model->user != NULL && model->user[id]) return (double)bytes * model->user_score - 0.1 + here;
  return sum(model->scores[id], here, single);
}

/* What is kept of a score. */
static inline double kept(double score, int single) { return single ? (double)(float)score : score; }

static inline void search(const kt_unigram *model, kt_lattice_node *nodes, size_t characters, int single) {
  const kt_trie *trie = model->trie;
  for (size_t from = 0; from < characters; from++) {
    double here = nodes[from].score;
    int has_single = 0;
    uint32_t next = trie->first[0][nodes[from].code];
    for (size_t to = from + 1; next != KT_NONE; to++) {
      if (next & (KT_LEAF | KT_END)) {
        int32_t id = next & KT_LEAF ? (int32_t)(next & ~KT_LEAF) : trie->values[next & KT_NODE];
        double score = candidate(model, id, here, nodes[to].place - nodes[from].place, single);
        if (nodes[to].start == SIZE_MAX || score > nodes[to].score) {
          nodes[to].score = kept(score, single);
          nodes[to].start = from;
          nodes[to].id = id;
        }
        if (to == from + 1) has_single = 1;
        if (next & KT_LEAF) break;
      }
      if (to == characters) break;
      next = kt_child(trie, next & KT_NODE, nodes[to].code);
    }
    if (!has_single) offer(&nodes[from + 1], sum(model->unknown_score, here, single), from, model->unknown);
  }
}

size_t kt_segment(const kt_unigram *model, const uint8_t *text, size_t count, kt_lattice_node *nodes, kt_token *pieces) {
  size_t characters = 0;
  for (size_t at = 0, length; at < count; at += length) {
    uint32_t code = kt_entry(model->trie, text, at, count, &length) >> 3;
    nodes[characters++] = (kt_lattice_node){0, SIZE_MAX, -1, code, at};
  }
  nodes[characters] = (kt_lattice_node){0, SIZE_MAX, -1, 0, count};
  if (model->single) {
    search(model, nodes, characters, 1);
  } else {
    search(model, nodes, characters, 0);
  }
  size_t number = 0;
  for (size_t to = characters; to > 0; to = nodes[to].start) number++;
  size_t place = number;
  for (size_t to = characters; to > 0; to = nodes[to].start) {
    pieces[--place] = (kt_token){nodes[nodes[to].start].place, nodes[to].place, nodes[to].id, 0};
  }
  return number;
}
