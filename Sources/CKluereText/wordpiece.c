/* wordpiece.c - words, and in each the longest pieces from the left, in one pass over the characters.
 *
 * A word is read once, but for the characters between the end of a piece and the place where no longer one goes on: on Korean
 * text 1.3 steps of the trie a character. Failure links (LinMaxMatch, Song et al. 2021, arXiv 2012.15524) need as many steps on
 * it, 1.31 to 1.31, so there are none. */
#include "internal.h"

static inline uint32_t action(uint32_t actions, uint32_t entry) { return actions >> 2 * (entry & 7) & 3; }

/* Characters of text[begin, end). */
static size_t characters(const uint8_t *text, size_t begin, size_t end) {
  size_t count = 0;
  for (; begin < end; begin++) count += (text[begin] & 0xC0) != 0x80;
  return count;
}

/* Where the letters from `position` on end. */
static size_t word_end(const kt_words *words, const uint8_t *text, size_t position, size_t end, uint32_t actions) {
  size_t length;
  while (position < end && action(actions, kt_entry(words->trie, text, position, end, &length)) == KT_LETTER) {
    position += length;
  }
  return position;
}

enum { WORD_FULL = -1 };

/* Pieces of the word that begins at `begin`, a letter with this entry and length, and ends with the last letter in a row:
 * *stop; what follows there: *after. `first`: the root's children where it starts. Returns their number, at least 1, or
 * WORD_FULL. */
static inline __attribute__((always_inline)) ptrdiff_t
match(const kt_words *words, uint32_t actions, const uint8_t *text, size_t begin, size_t end, uint32_t entry,
      size_t length, const uint32_t *first, int32_t word, kt_token *tokens, size_t capacity, size_t *stop,
      uint32_t *after) {
  const kt_trie *trie = words->trie;
  size_t count = 0;
  size_t piece = begin; /* where the current piece begins */
  size_t at = begin;
  size_t found = begin; /* where the longest piece so far ends */
  uint32_t found_node = 0;
  uint32_t node = 0;
  uint32_t what = KT_LETTER;
  size_t limit = end;
  *after = KT_SPACE;
  for (;;) {
    int32_t id;
    if (what == KT_LETTER) {
      uint32_t next = at == piece ? first[entry >> 3] : kt_child(trie, node, entry >> 3);
      if (next != KT_NONE) {
        at += length;
        /* A character has four bytes at most: a word that is too long is left at once, however long it is. */
        if ((at - begin) / 4 > words->maximum) goto unknown;
        found = next & (KT_LEAF | KT_END) ? at : found;
        if (next & KT_LEAF) {
          id = (int32_t)(next & ~KT_LEAF);
          goto piece_ends;
        }
        node = next & KT_NODE;
        found_node = next & KT_END ? node : found_node;
        goto next_character;
      }
    } else if (piece == at) {
      break;
    }
    if (found == piece) goto unknown;
    id = trie->values[found_node];
  piece_ends:
    if (count == capacity) return WORD_FULL;
    tokens[count++] = (kt_token){piece, found, id, word};
    piece = at = found;
    first = trie->first[1];
  next_character:
    if (at < limit) {
      entry = kt_entry(trie, text, at, limit, &length);
      what = action(actions, entry);
      if (what == KT_LETTER) continue;
      *after = what;
    }
    limit = at; /* the word ends here, also where it is read again */
    what = KT_SPACE;
  }
  *stop = at;
  if (at - begin <= words->maximum || characters(text, begin, at) <= words->maximum) return (ptrdiff_t)count;
unknown:
  at = word_end(words, text, at, limit, actions);
  if (at < limit) *after = action(actions, kt_entry(trie, text, at, limit, &length));
  *stop = at;
  if (capacity == 0) return WORD_FULL;
  tokens[0] = (kt_token){begin, at, words->unknown, word};
  return 1;
}

int kt_split_words(const kt_words *words, const uint8_t *text, size_t *position, size_t end, int32_t *word,
                   kt_token *tokens, size_t capacity, size_t *count) {
  size_t at = *position;
  size_t used = 0;
  int32_t number = *word;
  int status = KT_DONE;
  while (at < end) {
    size_t length;
    uint32_t entry = kt_entry(words->trie, text, at, end, &length);
    uint32_t what = action(words->actions, entry);
    if (what == KT_SPACE || what == KT_DROPPED) {
      at += length;
      continue;
    }
    /* What stands alone is a word of one letter. */
    uint32_t actions = what == KT_LETTER ? words->actions : 0;
    size_t stop, limit = what == KT_LETTER ? end : at + length;
    uint32_t after;
    ptrdiff_t pieces = match(words, actions, text, at, limit, entry, length, words->trie->first[0], number,
                             tokens + used, capacity - used, &stop, &after);
    if (pieces == WORD_FULL || after == KT_DROPPED) {
      status = pieces == WORD_FULL ? KT_FULL : KT_GAP;
      break;
    }
    used += (size_t)pieces;
    number = (int32_t)((uint32_t)number + 1);
    at = stop;
  }
  *position = at;
  *word = number;
  *count = used;
  return status;
}

size_t kt_split_word(const kt_words *words, const uint8_t *text, size_t begin, size_t end, int continues, int32_t word,
                     kt_token *tokens, size_t capacity) {
  if (begin >= end) return 0;
  size_t stop, length;
  uint32_t after;
  uint32_t entry = kt_entry(words->trie, text, begin, end, &length);
  ptrdiff_t pieces = match(words, 0, text, begin, end, entry, length, words->trie->first[continues != 0], word, tokens,
                           capacity, &stop, &after);
  return pieces == WORD_FULL ? SIZE_MAX : (size_t)pieces;
}
