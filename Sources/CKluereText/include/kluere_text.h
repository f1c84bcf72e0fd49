/* kluere_text.h - the inner loops of the tokenizers: a trie over characters, WordPiece's longest match, the Viterbi search
 * of unigram models, SentencePiece's normalization, and offsets.
 *
 * Texts are UTF-8; one that is malformed gives some result, and nothing outside of it is read. Positions are bytes. Nothing
 * here allocates but kt_trie_create; what is made there is never changed, but by kt_set_staying and kt_clear_* before others
 * see it, and may be used by any number of threads. */
#ifndef KLUERE_TEXT_H
#define KLUERE_TEXT_H
#include <stddef.h>
#include <stdint.h>

/* ---- trie.c: strings with values, in two groups ------------------------------------------------------------------- */
typedef struct kt_trie kt_trie;

typedef struct kt_key {
  size_t offset; /* into the storage */
  uint32_t length;
  int32_t value; /* 0 or more */
} kt_key;

/* Kinds of characters, in two stages: bits 0 to 2 of table[pages[c >> 8] << 8 | (c & 255)], c < 2^21. */
typedef struct kt_kinds {
  const uint16_t *pages; /* [8192] */
  const uint8_t *table;
  size_t page_count;
} kt_kinds;

enum { KT_OK = 0, KT_NO_MEMORY = 1, KT_TOO_LARGE = 2, KT_TOO_LONG = 3 };
/* counts: the keys of group 0 and those of group 1, which follow them. Keys are valid UTF-8 within the storage; of equal
 * ones in a group the last counts. kinds may be NULL. most: different beginnings that the keys of a group may have, of both
 * groups together; more are refused (TOO_LONG). Memory: at most 48 bytes for each of these and 36 for each key while it is
 * made, then 40 and 36; keys whose characters lie so that it would take more are refused (TOO_LARGE). */
int kt_trie_create(kt_trie **trie, const kt_key *keys, const size_t counts[2], const uint8_t *storage,
                   const kt_kinds *kinds, size_t most);
void kt_trie_destroy(kt_trie *trie);
/* Value of exactly this key, -1 if there is none. */
int32_t kt_trie_value(const kt_trie *trie, int group, const uint8_t *key, size_t length);
/* Number of a character among those of the keys; 0: no key has it. */
uint32_t kt_code(const kt_trie *trie, uint32_t character);
/* Where the longest key of a group's that text has at begin ends, begin if there is none. */
size_t kt_trie_longest(const kt_trie *trie, int group, const uint8_t *text, size_t begin, size_t end);

/* ---- wordpiece.c -------------------------------------------------------------------------------------------------- */
typedef struct kt_token {
  size_t begin; /* [begin, end) of the text */
  size_t end;
  int32_t id;
  int32_t word;
} kt_token;

/* What a kind of character is to a splitter. */
enum { KT_LETTER = 0, KT_SPACE = 1, KT_ALONE = 2, KT_DROPPED = 3 };
/* Group 0: pieces that begin a word, group 1: those that go on with one. */
typedef struct kt_words {
  const kt_trie *trie;
  size_t maximum; /* characters; longer words are unknown */
  int32_t unknown;
  uint32_t actions; /* two bits for each kind */
} kt_words;

/* KT_DONE: all of it. KT_FULL: no room for the next word's pieces. KT_GAP: the next word has dropped characters inside. */
enum { KT_DONE = 0, KT_FULL = 1, KT_GAP = 2 };
/* Writes the pieces of the words in [*position, end) of text to tokens and their number to *count; *word counts words. It
 * stops before a word, and *position says where. */
int kt_split_words(const kt_words *words, const uint8_t *text, size_t *position, size_t end, int32_t *word,
                   kt_token *tokens, size_t capacity, size_t *count);
/* Pieces of the one word text[begin, end), whatever its characters are. continues: a word has begun before it. Returns their
 * number, or SIZE_MAX if there are more than capacity. */
size_t kt_split_word(const kt_words *words, const uint8_t *text, size_t begin, size_t end, int continues, int32_t word,
                     kt_token *tokens, size_t capacity);

/* ---- unigram.c: the best segmentation ----------------------------------------------------------------------------- */
typedef struct kt_unigram {
  const kt_trie *trie;        /* group 0 */
  const double *scores;       /* [pieces] */
  const uint8_t *user;        /* [pieces]: user-defined, or NULL: none is */
  double unknown_score;
  double user_score;          /* of a byte of a user-defined piece */
  int32_t unknown;
  int32_t single;             /* 1: scores are added in single precision, as in SentencePiece */
} kt_unigram;

typedef struct kt_lattice_node {
  double score;
  uint32_t start; /* character at which the next piece of the path begins; UINT32_MAX: none, or not on the path */
  int32_t id;     /* of the piece between the two */
  uint32_t code;
  uint32_t place; /* byte of the character */
} kt_lattice_node;

/* The pieces of text[0, count), count < UINT32_MAX: from nodes[0] on, follow `start`; a piece ends at the next one's place.
 * nodes: room for count + 1. Of equal paths the one found first stays. */
void kt_segment(const kt_unigram *model, const uint8_t *text, size_t count, kt_lattice_node *nodes);

/* What stands before a word: nothing, a mark (U+2581) for the space before it, or one for no text: alone it has the place of
 * the word's first character (FIRST) or is empty (EMPTY). */
enum kt_mark { KT_MARK_NONE, KT_MARK_SPACE, KT_MARK_FIRST, KT_MARK_EMPTY };
typedef struct kt_plain {
  uint32_t mark_code;  /* kt_code of the mark */
  enum kt_mark first;  /* before the text's first word */
  enum kt_mark others; /* SPACE, or FIRST: spaces go and each word gets a mark */
} kt_plain;

enum { KT_WORD_ROOM = 256 }; /* characters */
/* Appends the pieces of the words of text[begin, end) to tokens, if all of them are plain: characters that stay (see
 * kt_set_staying), one space between words and none at the ends, no unknown pieces, at most KT_WORD_ROOM - 1 characters; no
 * user-defined pieces, and no piece has a mark behind another character. Else it returns 0 and has done nothing that counts.
 * A model of single precision adds the scores of one text, one of double precision those of a word. */
int kt_segment_plain(const kt_unigram *model, const kt_plain *plain, const uint8_t *text, size_t begin, size_t end,
                     int32_t *word, kt_token *tokens, size_t capacity, size_t *count);

/* ---- sentencepiece.c: normalization as that library does it -------------------------------------------------------- */
typedef struct kt_character_map { /* of a model file: a double-array trie, and the replacements, each ended by a NUL */
  const uint32_t *units;
  const uint8_t *replacements;
  size_t unit_count; /* 0: characters stay */
  size_t replacement_count;
} kt_character_map;

enum { KT_MAXIMUM_RULE = 256 }; /* bytes that a rule takes or gives */
/* The longest (shortest) rule that text has at begin: the bytes that it takes, 0 if there is none; *start: where its
 * replacement is. */
size_t kt_longest_rule(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end, size_t *start);
size_t kt_shortest_rule(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end, size_t *start);

/* Whether text[begin, end) stays as it is, whatever is done to clusters of characters: none of its characters has a rule, and
 * each is of those that stand alone: Latin, kana, Hangul syllables, Han, but no carriage return. 0: it may change. */
int kt_stays(const kt_character_map *map, const uint8_t *text, size_t begin, size_t end);

/* Marks the characters of a new trie's keys, made without kinds, that may stay as they are in any text: they stand alone, and
 * are neither white space nor controls. kt_clear_ruled takes that back where the map has a rule for the character, or, with
 * `longer`, may have one for it and another that stands alone, and says whether this holds for U+0020; kt_clear_staying takes
 * it back for one character. */
void kt_set_staying(kt_trie *trie);
int kt_clear_ruled(kt_trie *trie, const kt_character_map *map, int longer);
void kt_clear_staying(kt_trie *trie, uint32_t character);

typedef struct kt_normalizer {
  kt_character_map map;
  const kt_trie *user; /* group 0: symbols that stay as they are; NULL: none */
  int32_t removes_extra_spaces;
  int32_t escapes_spaces; /* U+2581 for U+0020 */
} kt_normalizer;

/* Room that a step needs at most. */
enum { KT_NORMALIZER_ROOM = 3 * KT_MAXIMUM_RULE };
/* Bytes at the front of text[begin, end) that are extra spaces. */
size_t kt_leading_spaces(const kt_normalizer *normalizer, const uint8_t *text, size_t begin, size_t end);
/* Appends text[*position, end), normalized, to bytes, and to origins for each byte the place in the text that it comes from;
 * *length is how many there are. Stops where the room left is too small; *position says where. *after_space: the text so
 * far ends in a space that takes those that follow. */
void kt_normalize(const kt_normalizer *normalizer, const uint8_t *text, size_t *position, size_t end, int32_t *after_space,
                  uint8_t *bytes, size_t *origins, size_t *length, size_t capacity);

/* ---- offsets.c ---------------------------------------------------------------------------------------------------- */
/* The first byte that begins no well-formed sequence (Unicode standard, table 3-7); count if there is none. */
size_t kt_first_invalid(const uint8_t *text, size_t count);
/* Offsets of tokens, whose begins ascend and so do their ends, from bytes of text to code points (utf16 0) or UTF-16 units
 * (1). */
void kt_convert_offsets(kt_token *tokens, size_t count, const uint8_t *text, size_t length, int utf16);
/* For each byte of text[begin, end): where its character begins and ends. */
void kt_character_places(const uint8_t *text, size_t begin, size_t end, size_t *begins, size_t *ends);
#endif
