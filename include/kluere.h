/* kluere.h - Korean relation extraction: tokenizer, encoder, training, evaluation, prediction. C99 and C++11.
 *
 * This header is the manual. The rules here hold everywhere unless a declaration says otherwise.
 *
 *  Handles   opaque and independent; destroy them in any order (each keeps alive what it needs).
 *            kluere_*_destroy(NULL) does nothing. NULL, destroyed or wrong handles give KLUERE_ERR_BAD_HANDLE
 *            (best effort: a destroyed handle is recognised as long as its memory was not reused).
 *  Errors    fallible calls return kluere_status. On failure out-parameters are untouched unless the declaration
 *            names one that is written, nothing is owed, the handle stays usable, and kluere_last_error() has one line
 *            that says what, where, what was found and what was expected.
 *  Text      UTF-8. A text is a pointer and a length in bytes, or KLUERE_NUL_TERMINATED as the length. Invalid UTF-8
 *            (lone surrogates and overlong forms too) is refused, never replaced, never normalised. Paths are
 *            NUL-terminated UTF-8.
 *  Offsets   [begin, end), end exclusive, counted in the unit a call or struct names: bytes, code points or UTF-16
 *            units. KLUE's own files count code points with an INCLUSIVE end: add 1 to their end_idx.
 *  Memory    what you pass in is read only during the call. Strings handed out live as long as the handle they came
 *            from. Arrays are yours: pass a capacity in elements; too small gives KLUERE_ERR_BUFFER_TOO_SMALL.
 *  Structs   begin with struct_size; *_init writes it and the defaults of this library. Then change fields. New fields
 *            are only ever appended: old callers keep working, newer callers too while the unknown tail is zero.
 *  Threads   stated per handle below. Results do not depend on the number of threads: same seed, same bits (CPU).
 *  Host      kluere never prints, exits, aborts or touches signals; it calls you back only on the thread that is
 *            inside a call. It is not fork-safe once a context exists (Python: use spawn).
 */
#ifndef KLUERE_H
#define KLUERE_H
#include <stddef.h>
#include <stdint.h>

#define KLUERE_VERSION_NUMBER 100u /* major * 10000 + minor * 100 + patch */
#define KLUERE_ABI_VERSION 1u      /* rises only when an existing binary would break; the suffix of the .so */
#define KLUERE_NUL_TERMINATED ((size_t)-1)
#if defined(__GNUC__)
#define KLUERE_API __attribute__((visibility("default")))
#else
#define KLUERE_API
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------
 * Values are frozen; treat any unknown negative value as "failed". Branch on codes, never on messages. */
typedef int32_t kluere_status;
enum {
  KLUERE_OK = 0,
  KLUERE_ERR_INVALID_ARGUMENT = -1, /* an argument, option or row that cannot be right */
  KLUERE_ERR_BAD_HANDLE = -2,       /* NULL, destroyed, or of another kind */
  KLUERE_ERR_INVALID_UTF8 = -3,
  KLUERE_ERR_STATE = -4,            /* the call does not fit what the handle is doing or has done */
  KLUERE_ERR_IO = -10,              /* the operating system refused: missing file, permission, full disk */
  KLUERE_ERR_BAD_FORMAT = -11,      /* a file's content is not what its format demands */
  KLUERE_ERR_VERSION = -12,         /* file or struct from another version that this one cannot honour */
  KLUERE_ERR_OUT_OF_MEMORY = -20,
  KLUERE_ERR_DEVICE = -21,          /* a GPU or its driver failed */
  KLUERE_ERR_UNSUPPORTED = -22,     /* well-formed, but not something this build or device can do */
  KLUERE_ERR_BUFFER_TOO_SMALL = -30,
  KLUERE_ERR_CANCELLED = -31,       /* a callback or kluere_trainer_request_stop asked to stop; a queue was closed */
  KLUERE_ERR_NOT_FINITE = -32,      /* loss or gradient became NaN or infinite */
  KLUERE_ERR_BUSY = -33,            /* a queue has as many requests as it may: try again later, or elsewhere */
  KLUERE_ERR_TIMEOUT = -34,         /* a request's time was over before its computation began */
  KLUERE_ERR_INTERNAL = -99
};

/* Version of the loaded library: compare kluere_abi_version() with KLUERE_ABI_VERSION before anything else. */
KLUERE_API uint32_t kluere_abi_version(void);
KLUERE_API uint32_t kluere_version_number(void);
KLUERE_API const char *kluere_version_string(void);              /* "0.1.0", static storage */
KLUERE_API const char *kluere_status_name(kluere_status status); /* "KLUERE_ERR_IO"; static storage, never NULL */

/* Copies the message of this OS thread's last failed call, NUL-terminated, cut between code points if it does not fit.
 * Returns the bytes needed including the NUL (1 when there is no message). A successful call leaves it as it was.
 * buffer may be NULL when capacity is 0. */
KLUERE_API size_t kluere_last_error(char *buffer, size_t capacity);

/* ---- Handles ----------------------------------------------------------------------------------------------------- */
typedef struct kluere_context kluere_context;     /* device, threads, logger      | any number of threads at once */
typedef struct kluere_tokenizer kluere_tokenizer; /* vocabulary and rules         | immutable: any number at once */
typedef struct kluere_dataset kluere_dataset;     /* labelled sentences           | immutable: any number at once */
typedef struct kluere_model kluere_model;         /* tokenizer, labels, weights   | immutable: any number at once */
typedef struct kluere_predictor kluere_predictor; /* scratch memory to predict    | one thread at a time          */
typedef struct kluere_trainer kluere_trainer;     /* weights, optimizer, position | one thread at a time          */
typedef struct kluere_text kluere_text;           /* a result in words or JSON    | immutable: any number at once */
typedef struct kluere_audit kluere_audit;         /* what is odd in a dataset     | immutable: any number at once */
typedef struct kluere_recipe kluere_recipe;       /* a named set of options       | immutable: any number at once */
typedef struct kluere_corpus kluere_corpus;       /* text as rows of tokens       | immutable: any number at once */
typedef struct kluere_decoding kluere_decoding;   /* logits to probabilities      | immutable: any number at once */
typedef struct kluere_pipeline kluere_pipeline;   /* several models as one        | one thread at a time          */
typedef struct kluere_queue kluere_queue;         /* requests merged into batches | any number of threads at once */

/* ---- Context ----------------------------------------------------------------------------------------------------- */
enum { KLUERE_LOG_OFF = 0, KLUERE_LOG_ERROR = 1, KLUERE_LOG_WARNING = 2, KLUERE_LOG_INFO = 3, KLUERE_LOG_DEBUG = 4 };
/* utf8 is one line without a newline, NUL-terminated, valid during the call. Must not throw, longjmp or call kluere. */
typedef void (*kluere_log_fn)(void *userdata, int32_t level, const char *utf8, size_t length);

enum { KLUERE_DEVICE_AUTO = -1, KLUERE_DEVICE_CPU = 0 }; /* n > 0: CUDA device n - 1 */

/* How values between layers are stored and multiplied. Sums, layer norm, softmax, loss, gradients of parameters and AdamW are
 * fp32 in all of them, and so is the residual path, as in PyTorch's autocast. The CPU has FLOAT32 alone.
 *   TF32      stored as fp32, products round their factors to 10 bits of mantissa (NVIDIA chips from 8.0 on)
 *   BFLOAT16  (from 8.0 on)
 *   FLOAT16   (from 7.0 on) with a loss scale that adapts itself as torch.amp.GradScaler's does
 *   AUTO      BFLOAT16 where the chip has it, else FLOAT16; FLOAT32 on the CPU */
enum {
  KLUERE_PRECISION_AUTO = -1,
  KLUERE_PRECISION_FLOAT32 = 0,
  KLUERE_PRECISION_TF32 = 1,
  KLUERE_PRECISION_BFLOAT16 = 2,
  KLUERE_PRECISION_FLOAT16 = 3
};

typedef struct kluere_context_options {
  uint32_t struct_size;
  int32_t device;       /* KLUERE_DEVICE_*; default CPU. AUTO takes the first GPU if it can be used, else the CPU */
  int32_t thread_count; /* CPU threads that work on one call, the caller's included; 0 (default) = every core */
  int32_t log_level;    /* default KLUERE_LOG_WARNING; nothing is logged without a callback */
  kluere_log_fn log;
  void *log_userdata;
} kluere_context_options;

typedef struct kluere_context_info {
  uint32_t struct_size;
  int32_t device;              /* what was chosen */
  int32_t thread_count;        /* what was chosen */
  int32_t reserved;
  const char *device_name;     /* lives with the context */
  const char *instruction_set; /* "avx512", "avx2", "neon" or "plain"; of a GPU "sm_90"; lives with the context */
} kluere_context_info;

KLUERE_API kluere_status kluere_context_options_init(kluere_context_options *options, size_t struct_size);
/* options may be NULL: defaults. Worker threads start here, block every signal, and sleep between calls.
 * Environment: KLUERE_CPU=plain|avx2|avx512|neon forces a code path; UNSUPPORTED if this machine lacks it.
 * A CUDA device needs nothing at build time: libcuda, libcublasLt and libnvrtc are looked for when it is opened, in
 * KLUERE_CUDA_LIBRARIES (folders, separated by colons) first; UNSUPPORTED lists every place that was tried. Kernels are
 * compiled for the chip at first use and kept in KLUERE_CACHE, else XDG_CACHE_HOME/kluere, else HOME/.cache/kluere. The
 * device's primary context is shared with the process (PyTorch) and left as it was. After an error that the driver does
 * not recover from, every call on the context gives DEVICE. */
KLUERE_API kluere_status kluere_context_create(const kluere_context_options *options, kluere_context **out);
KLUERE_API void kluere_context_destroy(kluere_context *context);
/* Set info->struct_size = sizeof *info before the call. */
KLUERE_API kluere_status kluere_context_describe(const kluere_context *context, kluere_context_info *info);
/* Computes small known problems on the device, in a second or two; on a GPU all its kernels are compiled first. DEVICE and what
 * differs if the device, its driver or this build of the library is not to be trusted with more. */
KLUERE_API kluere_status kluere_context_selftest(const kluere_context *context);

/* ---- Offsets ----------------------------------------------------------------------------------------------------- */
enum { KLUERE_OFFSETS_BYTES = 0, KLUERE_OFFSETS_CODE_POINTS = 1, KLUERE_OFFSETS_UTF16 = 2 };
/* Converts one offset into text from one unit to another. An offset inside a character, or past the end, is refused. */
KLUERE_API kluere_status kluere_offset_convert(const char *text, size_t text_length, size_t offset, int32_t from_unit,
                                               int32_t to_unit, size_t *out);

/* ---- Examples ---------------------------------------------------------------------------------------------------- */
typedef struct kluere_entity {
  size_t begin; /* [begin, end) in the sentence, in the unit the call names; not empty */
  size_t end;
  const char *type; /* "PER", "ORG", ... or your own; NULL = no type */
  size_t type_length;
} kluere_entity;

/* One sentence with two marked entities. Arrays of these pass sizeof(kluere_example) as the stride, so that the struct
 * can grow. Zero it first: {0}. */
typedef struct kluere_example {
  const char *text;
  size_t text_length;
  kluere_entity subject;
  kluere_entity object;
  const char *label; /* relation, NULL = unknown */
  size_t label_length;
  const char *id; /* optional */
  size_t id_length;
  const char *source; /* optional, e.g. "wikipedia" */
  size_t source_length;
  const char *origin; /* optional: id of the row that this one was made from; splits never separate the two */
  size_t origin_length;
} kluere_example;

/* ---- Dataset ------------------------------------------------------------------------------------------------------
 * Reads and validates labelled sentences: spans inside the sentence, the span's text equal to the file's word, labels
 * among the given labels.
 *   KLUE JSON         an array of {"guid","sentence","subject_entity":{"word","start_idx","end_idx","type"},
 *                     "object_entity":{...},"label","source"}; code points, inclusive end
 *   competition CSV   id,sentence,subject_entity,object_entity,label,source; RFC 4180; the entity cells are Python dict
 *                     literals with the same four keys
 *   JSON Lines        one object a line, keys as in KLUE JSON ("id" or "guid"; "word", "label", "source" optional; labels
 *                     and types of your own)
 *   flat CSV          id,sentence,label,source,subject_word,subject_start_idx,subject_end_idx,subject_type,object_word,
 *                     object_start_idx,object_end_idx,object_type,entity_pair: the entities' parts as columns of their own
 * Label "100" (or no label) means hidden: label index -1. A key or column "origin" is kept where a file has it. */
enum {
  KLUERE_FORMAT_AUTO = 0,
  KLUERE_FORMAT_KLUE_JSON = 1,
  KLUERE_FORMAT_COMPETITION_CSV = 2,
  KLUERE_FORMAT_JSON_LINES = 3,
  KLUERE_FORMAT_FLAT_CSV = 4
};
/* CUSTOM: options.labels, or, without those, "no_relation" first and then in order of first appearance in the rows. */
enum { KLUERE_LABELS_KLUE = 0, KLUERE_LABELS_COMPETITION = 1, KLUERE_LABELS_CUSTOM = 2 };
enum { KLUERE_BAD_ROWS_STOP = 0, KLUERE_BAD_ROWS_SKIP = 1 };

typedef struct kluere_dataset_options {
  uint32_t struct_size;
  int32_t format;      /* KLUERE_FORMAT_*; AUTO decides by content */
  int32_t label_order; /* KLUERE_LABELS_*; default KLUE: the 30 relations in the order of relation_list.json */
  int32_t bad_rows;    /* STOP (default): the first bad row fails the call; SKIP: left out and listed */
  const char *const *labels; /* for CUSTOM: NUL-terminated, distinct */
  size_t label_count;
} kluere_dataset_options;

KLUERE_API kluere_status kluere_dataset_options_init(kluere_dataset_options *options, size_t struct_size);
KLUERE_API kluere_status kluere_dataset_read(const kluere_context *context, const char *path,
                                             const kluere_dataset_options *options, kluere_dataset **out);
/* From memory; example_size is the caller's sizeof(kluere_example). format is ignored. */
KLUERE_API kluere_status kluere_dataset_create(const kluere_context *context, const kluere_example *examples,
                                               size_t example_size, size_t count, int32_t offset_unit,
                                               const kluere_dataset_options *options, kluere_dataset **out);
KLUERE_API void kluere_dataset_destroy(kluere_dataset *dataset);
KLUERE_API size_t kluere_dataset_count(const kluere_dataset *dataset); /* 0 for a bad handle */
/* Borrowed view of row index; its strings live with the dataset. example_size as above. */
KLUERE_API kluere_status kluere_dataset_get(const kluere_dataset *dataset, size_t index, int32_t offset_unit,
                                            kluere_example *out, size_t example_size);
KLUERE_API size_t kluere_dataset_label_count(const kluere_dataset *dataset);
KLUERE_API const char *kluere_dataset_label(const kluere_dataset *dataset, size_t index); /* NULL if there is none */
/* Label indices of all rows in this dataset's label order, -1 where hidden. */
KLUERE_API kluere_status kluere_dataset_label_indices(const kluere_dataset *dataset, int32_t *out, size_t capacity);
/* Rows that KLUERE_BAD_ROWS_SKIP left out: how many, and "file: row 17: why" of each (the first 1,000 are kept). */
KLUERE_API size_t kluere_dataset_skipped_count(const kluere_dataset *dataset);
KLUERE_API const char *kluere_dataset_skipped_reason(const kluere_dataset *dataset, size_t index);
/* The rows at the given indices, in that order (repeats allowed). */
KLUERE_API kluere_status kluere_dataset_subset(const kluere_dataset *dataset, const size_t *indices, size_t count,
                                               kluere_dataset **out);
/* The rows of first and then those of second, whose labels get first's numbers by their names; a label that first does not
 * have is refused. Ids stay as they are, also where both have the same. Texts are shared, not copied. */
KLUERE_API kluere_status kluere_dataset_concat(const kluere_dataset *first, const kluere_dataset *second,
                                               kluere_dataset **out);
/* Writes all rows as kluere_dataset_read reads them. format: KLUERE_FORMAT_*; AUTO by the name: .json KLUE JSON, .jsonl
 * JSON Lines, .csv competition CSV. Hidden labels: left out of JSON, "100" in CSV; origins: only where a row has one. The
 * file is replaced at once. */
KLUERE_API kluere_status kluere_dataset_write(const kluere_dataset *dataset, const char *path, int32_t format);
/* Random split by seed, about second_fraction (0 < f < 1) of the rows in *second; rows with equal sentences, and a row and
 * its origin, always stay on one side, original order is kept on each side, and no side is empty. */
KLUERE_API kluere_status kluere_dataset_split(const kluere_dataset *dataset, double second_fraction, uint64_t seed,
                                              kluere_dataset **first, kluere_dataset **second);

/* ---- Tokenizer ----------------------------------------------------------------------------------------------------
 * BERT WordPiece as Hugging Face's BertTokenizerFast runs it: clean, space out CJK, accents, case, punctuation, longest
 * match. Text never becomes a special token unless KLUERE_ENCODE_ALLOW_SPECIAL is set. */
typedef struct kluere_tokenizer_options {
  uint32_t struct_size;
  int32_t reserved;
  const char *const *added_special_tokens; /* NUL-terminated; new ones get the next free ids */
  size_t added_special_token_count;
} kluere_tokenizer_options;

enum {
  KLUERE_ENCODE_ADD_SPECIAL = 1u,   /* [CLS] A [SEP] or [CLS] A [SEP] B [SEP] */
  KLUERE_ENCODE_ALLOW_SPECIAL = 2u, /* "[SEP]" in the text becomes that token, as in Hugging Face; unsafe for user text */
  KLUERE_ENCODE_TRUNCATE = 4u       /* to max_tokens, longest first, as Hugging Face's fast tokenizers split it */
};
typedef struct kluere_encode_options {
  uint32_t struct_size;
  uint32_t flags;      /* default KLUERE_ENCODE_ADD_SPECIAL */
  uint32_t max_tokens; /* with TRUNCATE; 0 = the tokenizer's model_max_length */
  int32_t offset_unit; /* default bytes */
} kluere_encode_options;

typedef struct kluere_token {
  int32_t id;
  int32_t type_id; /* 0 for A, 1 for B */
  size_t begin;    /* in the text it came from; 0, 0 for tokens that were added */
  size_t end;
  int32_t sequence; /* 0 = A, 1 = B, -1 = added special token */
  int32_t word;     /* index of the pre-token in its text, -1 for added special tokens */
} kluere_token;

KLUERE_API kluere_status kluere_tokenizer_options_init(kluere_tokenizer_options *options, size_t struct_size);
/* path: a folder, or one of its files. In a folder the first of these counts: tokenizer.json (WordPiece or Unigram; all as
 * Hugging Face's tokenizers library does it); a SentencePiece unigram model: sentencepiece.bpe.model (XLM-R: its ids and
 * special tokens), spiece.model, tokenizer.model or sentencepiece.model (the file's ids), with the offsets, normalization
 * and decoding of the sentencepiece library; vocab.txt. With tokenizer_config.json, special_tokens_map.json and
 * added_tokens.json where present. What a file asks for and this library cannot do (BPE, other normalizers) is refused by
 * name (UNSUPPORTED). options may be NULL. */
KLUERE_API kluere_status kluere_tokenizer_open(const kluere_context *context, const char *path,
                                               const kluere_tokenizer_options *options, kluere_tokenizer **out);
KLUERE_API void kluere_tokenizer_destroy(kluere_tokenizer *tokenizer);
KLUERE_API size_t kluere_tokenizer_vocabulary_size(const kluere_tokenizer *tokenizer); /* added tokens included */
KLUERE_API const char *kluere_tokenizer_token(const kluere_tokenizer *tokenizer, int32_t id); /* NULL if none */
KLUERE_API int32_t kluere_tokenizer_id(const kluere_tokenizer *tokenizer, const char *token); /* -1 if none */
KLUERE_API kluere_status kluere_encode_options_init(kluere_encode_options *options, size_t struct_size);
/* pair may be NULL. Always writes *count, the tokens there are, also with BUFFER_TOO_SMALL. A text never gives more
 * tokens than it has bytes; special tokens come on top. options may be NULL. */
KLUERE_API kluere_status kluere_tokenizer_encode(const kluere_tokenizer *tokenizer, const char *text,
                                                 size_t text_length, const char *pair, size_t pair_length,
                                                 const kluere_encode_options *options, kluere_token *out,
                                                 size_t capacity, size_t *count);
/* The same for many texts in one call, on the context's threads. lengths in bytes; NULL: NUL-terminated. pairs: NULL, or a
 * pair for each text. The tokens of text i are [row_splits[i], row_splits[i + 1]) of the flat arrays: ids [capacity],
 * type_ids [capacity] and offsets [capacity, 2] (begin, end; 0, 0 for added tokens), of which the last two may be NULL.
 * row_splits [count + 1] is written also with BUFFER_TOO_SMALL; its last entry is the capacity needed. A text has at most
 * 2^32 - 1 bytes. */
KLUERE_API kluere_status kluere_tokenizer_encode_batch(const kluere_context *context, const kluere_tokenizer *tokenizer,
                                                       const char *const *texts, const size_t *lengths,
                                                       const char *const *pairs, const size_t *pair_lengths,
                                                       size_t count, const kluere_encode_options *options,
                                                       int32_t *ids, int32_t *type_ids, uint32_t *offsets,
                                                       size_t capacity, size_t *row_splits);
/* CLEAN_UP takes the spaces out before punctuation, as tokenizers' WordPiece decoder does with cleanup=True; with both
 * flags the text is that of transformers' decode(skip_special_tokens=True). Ids outside the vocabulary are refused. */
enum { KLUERE_DECODE_SKIP_SPECIAL = 1u, KLUERE_DECODE_CLEAN_UP = 2u };
/* Writes NUL-terminated UTF-8 and always *needed, the bytes including the NUL. */
KLUERE_API kluere_status kluere_tokenizer_decode(const kluere_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                                 uint32_t flags, char *buffer, size_t capacity, size_t *needed);

/* ---- Texts as results ---------------------------------------------------------------------------------------------- */
/* UTF-8 with a NUL behind it, as long as the handle lives; NULL for a bad handle. length may be NULL. */
KLUERE_API const char *kluere_text_get(const kluere_text *text, size_t *length);
KLUERE_API void kluere_text_destroy(kluere_text *text);

/* ---- Data work: statistics ----------------------------------------------------------------------------------------
 * Tokenizers may be NULL here: what needs one is then left out. */
/* Code points of every sentence, or, with a tokenizer, its tokens, special tokens included. capacity >= rows. */
KLUERE_API kluere_status kluere_dataset_lengths(const kluere_dataset *dataset, const kluere_tokenizer *tokenizer,
                                                int32_t *out, size_t capacity);
/* One JSON object:
 *   "rows", "labelled", "sentences" (different ones)
 *   "label", "source", "subject_type", "object_type", "type_pair" ("PER-ORG"), "type_pair_without_no_relation":
 *       [[value, rows], ...]; labels in their order, zeros too, others by falling count; value null: rows that have none
 *   "label_types": [[label, subject type, object type, rows], ...] in the order of the labels, then by falling count
 *   "characters", with a tokenizer "tokens": {"minimum", "maximum", "mean", "standard_deviation" (of a sample),
 *       "quantiles": [[share, length], ...] (interpolated as NumPy does), "rows_by_length": [[length, rows], ...]} */
KLUERE_API kluere_status kluere_dataset_statistics(const kluere_dataset *dataset, const kluere_tokenizer *tokenizer,
                                                   kluere_text **out);
/* Two datasets side by side, say training and evaluation. One JSON object:
 *   "rows": [first, second]
 *   "divergence": Jensen-Shannon divergence in bits (0: alike, 1: nothing in common; null: one has no values) of "label",
 *       "source", "subject_type", "object_type", "type_pair", "type_pair_without_no_relation", "characters" (in steps of
 *       20) and, with a tokenizer, "tokens" (in steps of 10)
 *   "leakage": "sentences" that stand in both; "first_rows" and "second_rows" that have one of these; of the second
 *       dataset's rows whose sentence and spans stand in the first: "same_label", "other_label", "hidden_label" */
KLUERE_API kluere_status kluere_dataset_compare(const kluere_dataset *first, const kluere_dataset *second,
                                                const kluere_tokenizer *tokenizer, kluere_text **out);

/* ---- Data work: audit ---------------------------------------------------------------------------------------------
 * Everything in a dataset that deserves a look, row by row. */
enum {
  KLUERE_FINDING_UNREADABLE = 0,      /* left out by KLUERE_BAD_ROWS_SKIP: a span that does not match, say */
  KLUERE_FINDING_DUPLICATE = 1,       /* sentence, entities, types and label of an earlier row (other_row) */
  KLUERE_FINDING_CONFLICT = 2,        /* sentence and spans of another row, with another label */
  KLUERE_FINDING_OVERLAP = 3,         /* subject and object share characters */
  KLUERE_FINDING_BLANK_IN_SPAN = 4,   /* a span begins or ends with a blank */
  KLUERE_FINDING_LABEL_PREFIX = 5,    /* a label of "per:" or "org:" with a subject of another type */
  KLUERE_FINDING_RARE_TYPES = 6,      /* fewer than rare_below rows have this label with these types */
  KLUERE_FINDING_UNKNOWN_PIECE = 7,   /* the tokenizer does not know all of an entity */
  KLUERE_FINDING_TOO_LONG = 8,        /* more tokens than max_tokens with the markers: a model crops the sentence */
  KLUERE_FINDING_NOT_NFC = 9,         /* the sentence is not in Unicode's normal form C */
  KLUERE_FINDING_HIDDEN_LABEL = 10,
  KLUERE_FINDING_DUPLICATE_ID = 11,   /* an earlier row has the id */
  KLUERE_FINDING_LEAKED_SENTENCE = 12, /* the sentence stands in the other dataset (in its row other_row) */
  KLUERE_FINDING_LEAKED_INPUT = 13    /* sentence and spans do */
};
enum { KLUERE_SEVERITY_NOTE = 0, KLUERE_SEVERITY_WARNING = 1, KLUERE_SEVERITY_ERROR = 2 };
enum { /* what to do about it */
  KLUERE_ACTION_NONE = 0,
  KLUERE_ACTION_REVIEW = 1,
  KLUERE_ACTION_REMOVE_ROW = 2,
  KLUERE_ACTION_RESOLVE_CONFLICT = 3,
  KLUERE_ACTION_CORRECT_TYPE = 4,
  KLUERE_ACTION_CORRECT_SPAN = 5,
  KLUERE_ACTION_NORMALIZE = 6,
  KLUERE_ACTION_REMOVE_FROM_TRAINING = 7,
  KLUERE_ACTION_RENUMBER = 8
};
typedef struct kluere_audit_options {
  uint32_t struct_size;
  uint32_t rare_below; /* default 3 */
  int32_t input_form;  /* with a tokenizer: KLUERE_INPUT_*, default TYPED_MARKER_PUNCT */
  uint32_t max_tokens; /* with a tokenizer, default 256 */
} kluere_audit_options;
typedef struct kluere_finding {
  uint32_t struct_size;
  int32_t kind;     /* KLUERE_FINDING_* */
  int32_t severity; /* KLUERE_SEVERITY_* */
  int32_t action;   /* KLUERE_ACTION_* */
  size_t row;       /* SIZE_MAX: of no row of the dataset */
  size_t other_row; /* SIZE_MAX: none */
  const char *id;   /* of the row, NULL if it has none; strings live with the audit */
  const char *message; /* one line */
} kluere_finding;
KLUERE_API kluere_status kluere_audit_options_init(kluere_audit_options *options, size_t struct_size);
/* other: a dataset that must share no sentence with this one, or NULL. tokenizer NULL: nothing about pieces and lengths.
 * options may be NULL. */
KLUERE_API kluere_status kluere_audit_create(const kluere_dataset *dataset, const kluere_dataset *other,
                                             const kluere_tokenizer *tokenizer, const kluere_audit_options *options,
                                             kluere_audit **out);
KLUERE_API void kluere_audit_destroy(kluere_audit *audit);
KLUERE_API size_t kluere_audit_count(const kluere_audit *audit); /* of findings; 0 for a bad handle */
/* Findings in the order of the rows. Set out->struct_size first. */
KLUERE_API kluere_status kluere_audit_get(const kluere_audit *audit, size_t index, kluere_finding *out);

/* ---- Data work: columns -------------------------------------------------------------------------------------------
 * The flat table (see kluere_dataset_read), its columns in memory as Arrow has them, for whoever reads the Arrow C data
 * interface without a copy: a struct ArrowSchema and a struct ArrowArray at these addresses, what they hold is overwritten.
 * Texts are UTF-8 ("u", null where a row has none), indices int64 ("l", code points, end inclusive); a 14th column "origin"
 * where a row has one. You call their release; they outlive the dataset. */
KLUERE_API kluere_status kluere_dataset_export_arrow(const kluere_dataset *dataset, void *schema, void *array);

/* ---- Data work: cleaning ------------------------------------------------------------------------------------------
 * In this order: rows on the list go, duplicates, losers of conflicts; then types are corrected. */
enum {                            /* of rows with the same sentence and spans and several labels stay those with */
  KLUERE_CONFLICTS_LEAVE = 0,           /* any label (default) */
  KLUERE_CONFLICTS_KEEP_FIRST = 1,      /* the first row's */
  KLUERE_CONFLICTS_MAJORITY = 2,        /* the one that most rows have, duplicates counted; of equally many the first */
  KLUERE_CONFLICTS_PREFER_RELATION = 3, /* any but no_relation; two relations stay a conflict */
  KLUERE_CONFLICTS_DROP_ALL = 4         /* none */
};
enum {
  KLUERE_TYPES_LEAVE = 0,    /* default */
  KLUERE_TYPES_MAJORITY = 1, /* to the type that at least majority_share of a label's rows have; not for no_relation */
  KLUERE_TYPES_LIST = 2      /* by corrections, the first that applies */
};
enum { KLUERE_ROLE_SUBJECT = 0, KLUERE_ROLE_OBJECT = 1 };
typedef struct kluere_type_correction {
  const char *label; /* NUL-terminated, as the others */
  const char *from;  /* NULL: any type */
  const char *to;
  int32_t role; /* KLUERE_ROLE_* */
  int32_t reserved;
} kluere_type_correction;
typedef struct kluere_clean_options {
  uint32_t struct_size;
  uint32_t remove_duplicates; /* default 1: rows equal in sentence, spans, types and label; the first stays */
  int32_t conflicts;          /* KLUERE_CONFLICTS_* */
  int32_t types;              /* KLUERE_TYPES_* */
  double majority_share;      /* default 0.9 */
  const char *const *remove_ids; /* rows to remove by hand; an id that no row has is refused */
  size_t remove_id_count;
  const kluere_type_correction *corrections; /* NULL: the map of the competition's team, see docs/data.md */
  size_t correction_count;
} kluere_clean_options;
KLUERE_API kluere_status kluere_clean_options_init(kluere_clean_options *options, size_t struct_size);
/* log (may be NULL): one JSON object with "rows_before", "rows_after", "content_before" and "changes", in the order of the
 * rows: {"row", "id", "step": "list", "duplicates", "conflicts" or "types", "what": "removed", "subject_type" or
 * "object_type", "from" (the whole row, or the type), "to", "why"}. options may be NULL. */
KLUERE_API kluere_status kluere_dataset_clean(const kluere_dataset *dataset, const kluere_clean_options *options,
                                              kluere_dataset **cleaned, kluere_text **log);
/* The dataset as it was before the cleaning that wrote the log; rows that this cleaning did not leave are refused. */
KLUERE_API kluere_status kluere_dataset_restore(const kluere_dataset *cleaned, const char *log, size_t log_length,
                                                kluere_dataset **out);

/* ---- Data work: splits --------------------------------------------------------------------------------------------
 * Parts that are alike. Rows with equal sentences, and a row and those made from it (origin), always share a part. */
enum { KLUERE_STRATIFY_LABEL = 1u, KLUERE_STRATIFY_TYPES = 2u }; /* TYPES: labels together with both types */
typedef struct kluere_split_options {
  uint32_t struct_size;
  uint32_t stratify;      /* flags, default both */
  uint64_t seed;          /* default 42 */
  double second_fraction; /* of split_stratified, default 0.1 */
  const double *label_shares; /* of split_stratified: what the labels' shares in the second part shall be, in the dataset's
                                 label order (say, those of the set to come); NULL (default): as in the dataset */
  size_t label_share_count;
} kluere_split_options;
KLUERE_API kluere_status kluere_split_options_init(kluere_split_options *options, size_t struct_size);
/* The fold of every row, 0 to fold_count - 1. options may be NULL, here and below. */
KLUERE_API kluere_status kluere_dataset_folds(const kluere_dataset *dataset, uint32_t fold_count,
                                              const kluere_split_options *options, int32_t *out, size_t capacity);
/* A share of a label for which there are not enough rows is refused. The original order is kept on each side. */
KLUERE_API kluere_status kluere_dataset_split_stratified(const kluere_dataset *dataset,
                                                         const kluere_split_options *options, kluere_dataset **first,
                                                         kluere_dataset **second);

/* ---- Data work: selections, to train the members of a pipeline (see kluere_pipeline) on ---- */
typedef struct kluere_select_options {
  uint32_t struct_size;
  uint32_t exclude_labels;   /* 1: rows with one of labels go; 0 (default): only they stay. Rows with hidden labels go */
  uint32_t narrow_labels;    /* 1: the label set becomes no_relation, if there is one, and the labels that are left */
  uint32_t reserved;
  const char *subject_type;  /* NUL-terminated; NULL (default): any; "": rows without one */
  const char *object_type;
  const char *const *labels; /* NULL (default): any */
  size_t label_count;
} kluere_select_options;
KLUERE_API kluere_status kluere_select_options_init(kluere_select_options *options, size_t struct_size);
/* The rows that are as the options say, in their order; none is refused. */
KLUERE_API kluere_status kluere_dataset_select(const kluere_dataset *dataset, const kluere_select_options *options,
                                               kluere_dataset **out);
/* The same rows with two labels: "no_relation", and "relation" for every other. */
KLUERE_API kluere_status kluere_dataset_binary(const kluere_dataset *dataset, kluere_dataset **out);

/* ---- Data work: augmentation --------------------------------------------------------------------------------------
 * New rows from old ones. Spans are moved with the text and checked; the same seed gives the same rows. A new row's id is
 * its source's with a mark ("7~mask"), its origin the source's id; originals without an id get their number from 0. */
enum {
  KLUERE_AUGMENT_SWAP_ROLES = 0,         /* subject becomes object and the other way, where swap_map knows the new label */
  KLUERE_AUGMENT_SWAP_TEXTS = 1,         /* words of one type change places in the sentence instead: facts become false */
  KLUERE_AUGMENT_MASK_WORDS = 2,         /* words that touch no entity become mask; one, or word_share */
  KLUERE_AUGMENT_MASK_SUBJECT = 3,       /* the subject's word becomes mask */
  KLUERE_AUGMENT_MASK_OBJECT = 4,
  KLUERE_AUGMENT_INSERT_PUNCTUATION = 5, /* AEDA: . ; ? : ! , before up to word_share (a third) of the words */
  KLUERE_AUGMENT_DELETE_WORDS = 6,       /* word_share (a tenth) of the words that touch no entity go */
  KLUERE_AUGMENT_SWAP_WORDS = 7          /* as many change places with others of them */
};
/* Relations that a swap knows, each with the types it needs. A row that the dataset has already, in whatever relation, is
 * not made, and nothing is made of other relations. */
enum {
  KLUERE_SWAP_SYMMETRIC = 1u,                   /* spouse, siblings, colleagues, other_family, alternate_names */
  KLUERE_SWAP_INVERSE = 2u,                     /* parents and children, members and member_of */
  KLUERE_SWAP_TOP_MEMBERS_TO_EMPLOYEE_OF = 4u,  /* one way */
  KLUERE_SWAP_EMPLOYEE_OF_TO_TOP_MEMBERS = 8u,  /* one way, plausible: also parties, clubs, units of the army */
  KLUERE_SWAP_NO_RELATION = 16u                 /* of two persons or two organisations; not implied */
};
typedef struct kluere_augment_options {
  uint32_t struct_size;
  int32_t kind;            /* KLUERE_AUGMENT_* */
  uint64_t seed;           /* default 42 */
  double row_share;        /* the chance of each row to be taken, default 1 */
  double word_share;       /* 0 (default): as the kind has it */
  uint32_t copies;         /* new rows of each row that is taken, default 1; more for what depends on chance alone */
  uint32_t swap_map;       /* KLUERE_SWAP_* flags, default the first three */
  uint32_t keep_originals; /* 1 (default): they stand before the new rows */
  uint32_t reserved;
  const char *mask;        /* default "[MASK]"; a model of this library reads that as text, see docs/data.md */
} kluere_augment_options;
KLUERE_API kluere_status kluere_augment_options_init(kluere_augment_options *options, size_t struct_size);
KLUERE_API kluere_status kluere_dataset_augment(const kluere_dataset *dataset, const kluere_augment_options *options,
                                                kluere_dataset **out);
/* Sentences that others made from rows: texts[i] from rows[i] (translated back, say). Taken in where both entities stand in
 * them, in a place that can be told: the only one, or the one with the same number as in the source if both have as many.
 * lengths NULL: NUL-terminated texts. report (may be NULL): {"added": n, "refused": [{"index", "row", "why"}, ...]}. */
KLUERE_API kluere_status kluere_dataset_add_paraphrases(const kluere_dataset *dataset, const size_t *rows,
                                                        const char *const *texts, const size_t *lengths, size_t count,
                                                        uint32_t keep_originals, kluere_dataset **out,
                                                        kluere_text **report);

/* ---- Model --------------------------------------------------------------------------------------------------------
 * A folder as Hugging Face transformers writes and reads it: config.json, model.safetensors, the
 * tokenizer's files, and kluere.json (labels in order, input form, head, entity types, decoding, recipe, versions). */
enum { KLUERE_FAMILY_BERT = 0, KLUERE_FAMILY_ROBERTA = 1, KLUERE_FAMILY_XLM_ROBERTA = 2, KLUERE_FAMILY_ELECTRA = 3 };
/* What stands on the encoder: a classifier (KLUERE_HEAD_* below), transformers' masked-LM head, or nothing. */
enum { KLUERE_TASK_CLASSIFICATION = 0, KLUERE_TASK_MASKED_LM = 1, KLUERE_TASK_ENCODER = 2 };
/* Of the feed-forward layers: x/2 (1 + erf(x / sqrt 2)), its tanh form ("gelu_new"), max(0, x). */
enum { KLUERE_ACTIVATION_GELU = 0, KLUERE_ACTIVATION_GELU_NEW = 1, KLUERE_ACTIVATION_RELU = 2 };
/* How a sentence with two entities becomes tokens. S, O: the entities' texts; s, o: words for their types (Korean ones for
 * KLUE's six, your own types as they are). [CLS] in front and [SEP] behind are left out here. One example of each, and where
 * it comes from: docs/input_forms.md. Tokens that a form needs and the vocabulary lacks ([E1], <subj>) are added, and the
 * embeddings grow (see kluere_model_open).
 *   ENTITY_PAIR                 S [SEP] O [SEP] sentence; token type 0 up to the second [SEP], then 1 (BERT)
 *   TYPED_MARKER_PUNCT          ... @ * s * S @ ... # ^ o ^ O # ... (Zhou and Chen 2022; no type: "* *" left out)
 *   TEMPLATE                    input_template below
 *   PROMPT_RELATION             S와 O의 관계 [SEP] sentence
 *   PROMPT_QUESTION             S와 O의 관계는 무엇인가? [SEP] sentence
 *   PROMPT_TYPED_QUESTION       s인 S와 o인 O 사이의 관계는 무엇인가. [SEP] sentence
 *   PROMPT_TYPED_STATEMENT      S와 O의 관계는 s과 o의 관계이다. [SEP] sentence
 *   PROMPT_TYPED_NOUNS          S (s)와 O (o)의 관계는 무엇인가? [SEP] sentence
 *   SEMANTIC_TYPING             s인 S와 o인 O의 관계는? [SEP] sentence
 *   ENTITY_MASK                 ... [SUBJ-PER] ... [OBJ-ORG] ... in place of the entities (other types: [SUBJ], [OBJ])
 *   ENTITY_MARKER               ... [E1] S [/E1] ... [E2] O [/E2] ...
 *   ENTITY_MARKER_PUNCT         ... @ S @ ... # O # ...
 *   TYPED_MARKER                ... [SUBJ-PER] S [/SUBJ-PER] ... [OBJ-ORG] O [/OBJ-ORG] ...
 *   TYPED_MARKER_PUNCT_ENGLISH  as TYPED_MARKER_PUNCT with person, organization, location, date, number, other
 *   KLUE                        ... <subj> S </subj> ... <obj> O </obj> ..., with KLUE_REPAIR unless chosen otherwise
 *   R_BERT                      ... $ S $ ... # O # ...
 *   REPORT_4                    PROMPT_TYPED_QUESTION before ... @*[s]* S @ ... #^[o]^ O # ...
 *   REPORT_5                    ... [SE] S (s) [/SE] ... [OE] O (o) [/OE] ...
 *   REPORT_6                    S-O [SEP] ... <S:PER> S </S:PER> ... <O:ORG> O </O:ORG> ...
 *   LEVITATED_MARKER            sentence [SEP] [E1] [/E1] [E2] [/E2], the markers beside the text: they read the text and each
 *                               other, the text reads itself alone, and their positions are those of the entities' first and
 *                               last pieces (PL-Marker, Ye et al. 2022; Zhong and Chen 2021). So all pairs of a sentence share
 *                               its text, unless it is cropped for them; the head must read markers
 *   TYPED_LEVITATED_MARKER      the same with [SUBJ-PER] [/SUBJ-PER] [OBJ-ORG] [/OBJ-ORG]
 * Sentences longer than max_tokens are cropped around both entities: markers, special tokens and the template's own text are
 * always kept, then entities, then what is nearest to them. */
enum {
  KLUERE_INPUT_ENTITY_PAIR = 0,
  KLUERE_INPUT_TYPED_MARKER_PUNCT = 1,
  KLUERE_INPUT_TEMPLATE = 2,
  KLUERE_INPUT_PROMPT_RELATION = 3,
  KLUERE_INPUT_PROMPT_QUESTION = 4,
  KLUERE_INPUT_PROMPT_TYPED_QUESTION = 5,
  KLUERE_INPUT_PROMPT_TYPED_STATEMENT = 6,
  KLUERE_INPUT_PROMPT_TYPED_NOUNS = 7,
  KLUERE_INPUT_SEMANTIC_TYPING = 8,
  KLUERE_INPUT_ENTITY_MASK = 9,
  KLUERE_INPUT_ENTITY_MARKER = 10,
  KLUERE_INPUT_ENTITY_MARKER_PUNCT = 11,
  KLUERE_INPUT_TYPED_MARKER = 12,
  KLUERE_INPUT_TYPED_MARKER_PUNCT_ENGLISH = 13,
  KLUERE_INPUT_KLUE = 14,
  KLUERE_INPUT_R_BERT = 15,
  KLUERE_INPUT_REPORT_4 = 16,
  KLUERE_INPUT_REPORT_5 = 17,
  KLUERE_INPUT_REPORT_6 = 18,
  KLUERE_INPUT_LEVITATED_MARKER = 19,
  KLUERE_INPUT_TYPED_LEVITATED_MARKER = 20
};
/* A template of one's own is text with placeholders:
 *   {subject} {object}            the entity's text
 *   {subject_type} {object_type}  a word for its type; {subject_type:WORDS} with WORDS one of korean (default), english,
 *                                 report_4, report_5 and raw (the type itself)
 *   {sentence}                    the sentence
 *   {marked_sentence}             the sentence with markers; {marked_sentence:FORM} with FORM a form above that marks, in lower
 *                                 case, default typed_marker_punct
 *   {levitated_markers}           at the end, with {sentence}: markers beside the text, as LEVITATED_MARKER has them; with
 *                                 :FORM as above, default typed_marker
 *   {와/과}                       a particle that agrees with the text before it: 와/과 은/는 이/가 을/를 로/으로 나/이나 야/아
 *                                 며/이며 라는/이라는
 *   [SEP] [MASK] and any special token of the tokenizer stand for themselves, {{ and }} for braces. A tokenizer without a
 *   [SEP] puts there what it puts between two texts: </s></s> for XLM-R's.
 * Exactly one of {sentence} and {marked_sentence} is needed. Text between special tokens is tokenized as one, so that particles
 * belong to the word before them; the sentence always begins a new word. Token type 1 begins behind the last [SEP] before the
 * sentence, else behind the first one after it. A template that cannot be right is refused with place and reason. */

/* Particles in the text of a form or template right behind an entity or a type: as they stand, or agreeing with it by its last
 * sound (Hangul; digits read one by one; Latin letters as they are mostly read; otherwise as they stand). */
enum { KLUERE_PARTICLES_FIXED = 0, KLUERE_PARTICLES_AGREE = 1 };
/* A closing marker cuts words: 솔가람은 becomes @ 솔가람 @ 은. The rest is tokenized
 *   NEW_WORD      as a word of its own
 *   CONTINUATION  as the rest of a word ("##은"), where the sentence without markers has one word there
 *   KLUE_REPAIR   as KLUE-baseline does: a new word whose first piece is then replaced by the one with "##", if it begins
 *                 with a Hangul syllable and the vocabulary has that piece (SentencePiece: loses its space) */
enum { KLUERE_AFTER_MARKER_NEW_WORD = 0, KLUERE_AFTER_MARKER_CONTINUATION = 1, KLUERE_AFTER_MARKER_KLUE_REPAIR = 2 };

/* What of the encoder's last states h decides the relation, and how. c: [CLS]; s, o: the first marker that opens the entity, or
 * its first piece where the input form has no marker; W: a linear layer with bias. Behind all: dropout, output layer.
 * Formulas, sources, and the six of Matching the Blanks as combinations: docs/heads.md.
 *   CLS                  transformers' sequence classifiers: tanh(Wc), ELECTRA GELU
 *   CLS_LINEAR           Wc + b (Soares et al. 2019, (a) and (d))
 *   ENTITY_START         relu(W[s; o]) (Zhou and Chen 2022; the report's model 5)
 *   ENTITY_START_GELU    the same with GELU
 *   ENTITY_START_LINEAR  W[s; o] + b (Soares et al. 2019, (f))
 *   CLS_ENTITY_START     relu(W[c; s; o])
 *   MENTION_POOL         W[max over S; max over O] + b (Soares et al. 2019, (b), (c), (e))
 *   R_BERT               [Wc' pooler(c); We' mean(S); We' mean(O)], W' x = W tanh(dropout(x)), markers in the means (Wu and He
 *                        2019)
 *   REPORT_4             gelu(W[pooler(c); s; o])
 *   REPORT_6             f([f([s; o]); c]), f = relu of one linear layer, with dropout between
 * pooler: the encoder's dense layer and tanh, made at random where the folder has none. Tensors: relation_head.*; transformers
 * opens such a folder as an encoder. */
enum {
  KLUERE_HEAD_CLS = 0,
  KLUERE_HEAD_CLS_LINEAR = 1,
  KLUERE_HEAD_ENTITY_START = 2,
  KLUERE_HEAD_ENTITY_START_GELU = 3,
  KLUERE_HEAD_ENTITY_START_LINEAR = 4,
  KLUERE_HEAD_CLS_ENTITY_START = 5,
  KLUERE_HEAD_MENTION_POOL = 6,
  KLUERE_HEAD_R_BERT = 7,
  KLUERE_HEAD_REPORT_4 = 8,
  KLUERE_HEAD_REPORT_6 = 9
};

typedef struct kluere_model_config {
  uint32_t struct_size;
  int32_t family;
  uint32_t hidden_size; /* a multiple of head_count */
  uint32_t layer_count;
  uint32_t head_count;
  uint32_t intermediate_size;
  uint32_t max_positions;  /* longest input in tokens, special tokens included */
  int32_t input_form;      /* default TYPED_MARKER_PUNCT */
  uint32_t max_tokens;     /* sentences are cropped to this; 0 = min(256, max_positions) */
  float hidden_dropout;    /* default 0.1 */
  float attention_dropout; /* default 0.1 */
  float classifier_dropout; /* -1 (default): hidden_dropout */
  float layer_norm_epsilon; /* 0 (default): 1e-12 for BERT, 1e-5 for RoBERTa */
  float initializer_range;  /* standard deviation of random weights, default 0.02 */
  uint64_t seed;            /* of random weights, default 42 */
  int32_t task;             /* KLUERE_TASK_*, default classification */
  int32_t activation;       /* KLUERE_ACTIVATION_*, default GELU */
  uint32_t embedding_size;  /* ELECTRA: width of the embeddings; 0 (default): hidden_size */
  uint32_t untied_decoder;  /* masked LM: 1: the decoder has weights of its own; 0 (default): the word embeddings */
  const char *input_template; /* of TEMPLATE, else NULL (default); from kluere_model_describe: lives with the model */
  int32_t particles;          /* KLUERE_PARTICLES_*, default FIXED */
  int32_t after_marker;       /* KLUERE_AFTER_MARKER_*; -1 (default): the input form's own */
  int32_t head;               /* of a classifier: KLUERE_HEAD_*, default CLS */
  uint32_t entity_segments;   /* 1: token type 1 for the subject's pieces, 2 for the object's, 0 for all else; three types */
  const char *recipe; /* NULL (default), or the name that a saved model carries; kluere_model_describe's lives with the model */
} kluere_model_config; /* defaults: RoBERTa, 4 layers, hidden 256, 4 heads, intermediate 1024, 512 positions */

typedef struct kluere_model_open_options {
  uint32_t struct_size;
  int32_t input_form;        /* -1 (default): as kluere.json says, else TYPED_MARKER_PUNCT */
  uint32_t max_tokens;       /* 0 (default): as kluere.json says, else min(256, positions) */
  uint32_t read_into_memory; /* 0 (default): map the weight files as long as the model lives, the first predictions read weights
                                there. 1: copy, if they may change */
  uint64_t seed;             /* of weights that the folder does not have (a new head), default 42 */
  const char *const *labels; /* NULL (default): kluere.json, else config.json's id2label, else KLUE's 30 */
  size_t label_count;
  int32_t task; /* KLUERE_TASK_*, default classification */
  int32_t reserved;
  const char *const *added_special_tokens; /* NUL-terminated; new ones get the next free ids, and rows of their own */
  size_t added_special_token_count;
  const char *input_template; /* NULL (default): as kluere.json says. Given: input_form may be -1 or TEMPLATE */
  int32_t particles;          /* KLUERE_PARTICLES_*; -1 (default): as kluere.json says, else FIXED */
  int32_t after_marker;       /* KLUERE_AFTER_MARKER_*; -1 (default): as kluere.json says, else the input form's own */
  int32_t head;               /* KLUERE_HEAD_*; -1 (default): as kluere.json says, else CLS. Another than the folder's is new */
  int32_t entity_segments;    /* 0, 1, or -1 (default): as kluere.json says, else 0. Types that the folder lacks are added */
  const char *recipe; /* NULL (default): as kluere.json says; else the name that the model carries from here on */
} kluere_model_open_options;

KLUERE_API kluere_status kluere_model_config_init(kluere_model_config *config, size_t struct_size);
KLUERE_API kluere_status kluere_model_open_options_init(kluere_model_open_options *options, size_t struct_size);
/* Random weights: linear layers and embeddings normal(0, initializer_range), padding row and biases 0, layer norm 1 and
 * 0. labels NULL: KLUE's 30. */
KLUERE_API kluere_status kluere_model_create(const kluere_context *context, const kluere_tokenizer *tokenizer,
                                             const kluere_model_config *config, const char *const *labels,
                                             size_t label_count, kluere_model **out);
/* Opens a folder of kluere or of transformers: BERT, RoBERTa, XLM-RoBERTa and ELECTRA, encoders alone, sequence classifiers
 * and masked-LM models. Weights, the first that is there: model.safetensors, its shards by model.safetensors.index.json,
 * pytorch_model.bin (both forms of torch.save; nothing is imported or called), its shards by their index; F32, F16, BF16,
 * F64. Tensors that the task's head needs and the folder lacks are initialised at random, logged as a warning, and flagged
 * in kluere_tensor_info; those that it does not need are listed by kluere_model_unused_tensor. What config.json asks for
 * and this library cannot do is refused by name. Special tokens that are added beyond vocab_size lengthen the embeddings and
 * the masked-LM decoder as transformers' resize_token_embeddings does: new rows are the mean of the old ones, kept apart by
 * noise of 1e-9 times their variance (by seed); the bias of a tied decoder gets zeros. Tables with unused rows keep their
 * length. options may be NULL. */
KLUERE_API kluere_status kluere_model_open(const kluere_context *context, const char *directory,
                                           const kluere_model_open_options *options, kluere_model **out);
/* Writes the folder beside its place and swaps it in: readers see the old or the new one, never a mixture. Files of
 * others in an existing folder are refused rather than lost (STATE). Readable by every later version. Weights that came
 * from a folder go back with the type and the bytes they had there. */
KLUERE_API kluere_status kluere_model_save(const kluere_model *model, const char *directory);
KLUERE_API void kluere_model_destroy(kluere_model *model);
/* Set config->struct_size first. */
KLUERE_API kluere_status kluere_model_describe(const kluere_model *model, kluere_model_config *config);
KLUERE_API kluere_status kluere_model_tokenizer(const kluere_model *model, kluere_tokenizer **out); /* you destroy it */
KLUERE_API size_t kluere_model_label_count(const kluere_model *model);
KLUERE_API const char *kluere_model_label(const kluere_model *model, size_t index); /* NULL if there is none */
KLUERE_API uint64_t kluere_model_parameter_count(const kluere_model *model);
/* The dataset's labels as indices into the model's labels, -1 where hidden; a label the model lacks is refused. */
KLUERE_API kluere_status kluere_model_label_indices(const kluere_model *model, const kluere_dataset *dataset,
                                                    int32_t *out, size_t capacity);
/* The exact tokens the model sees for an example; begin and end refer to the example's text (bytes), sequence is 0 for
 * pieces of the sentence or of an entity and -1 for everything inserted. Always writes *count. */
KLUERE_API kluere_status kluere_model_encode(const kluere_model *model, const kluere_example *example,
                                             size_t example_size, int32_t offset_unit, kluere_token *out,
                                             size_t capacity, size_t *count);
/* Where an entity is among the tokens of an example: what opens it is [marker_begin, begin), its pieces are [begin, end), what
 * closes it is [end, marker_end). Without markers these are empty; with ENTITY_MASK the mask is the one piece. In the
 * sentence. Markers beside the text are [marker_begin, marker_end), behind the text, those that open before those that close.
 * Computed while the input is made, and after cropping. */
typedef struct kluere_entity_places {
  size_t marker_begin;
  size_t begin;
  size_t end;
  size_t marker_end;
} kluere_entity_places;
typedef struct kluere_input_places {
  uint32_t struct_size;
  uint32_t reserved;
  size_t cls;
  kluere_entity_places subject;
  kluere_entity_places object;
  size_t cropped; /* tokens left out because the input was longer than max_tokens */
  size_t text_count; /* tokens without the markers beside the text, which are behind it; elsewhere all */
} kluere_input_places;
/* Set out->struct_size first. */
KLUERE_API kluere_status kluere_model_input_places(const kluere_model *model, const kluere_example *example,
                                                   size_t example_size, int32_t offset_unit, kluere_input_places *out);

enum { KLUERE_TENSOR_NEWLY_INITIALIZED = 1u };
typedef struct kluere_tensor_info {
  uint32_t struct_size;
  uint32_t flags;
  const char *name; /* as in model.safetensors; lives with the model */
  uint32_t rank;    /* 1 or 2 */
  uint32_t reserved;
  uint64_t shape[2]; /* [out, in] for linear layers; shape[1] = 1 for rank 1 */
} kluere_tensor_info;
KLUERE_API size_t kluere_model_tensor_count(const kluere_model *model);
/* Set info->struct_size first. */
KLUERE_API kluere_status kluere_model_tensor_describe(const kluere_model *model, size_t index, kluere_tensor_info *info);
KLUERE_API kluere_status kluere_model_tensor_read(const kluere_model *model, size_t index, float *out, size_t capacity);
/* Tensors of the opened folder that the model has no use for (another task's head, say). */
KLUERE_API size_t kluere_model_unused_tensor_count(const kluere_model *model);
KLUERE_API const char *kluere_model_unused_tensor(const kluere_model *model, size_t index); /* NULL if there is none */

/* ---- Entity types: what they say about the relation ----
 * Two ways to use them, learned from labelled rows; the models keep them in their folders (kluere.json). Types are compared
 * byte for byte. Rows with a hidden label or without both types are not counted. Both need a classification head (else
 * STATE). Limits: 1024 pairs of types, 2^24 pairs x labels. docs/types.md. */

/* How often each label stands with each pair of types: {"labels": [...], "pairs": [{"subject", "object", "counts": [one for
 * each label]}, ...] by subject, then object, "left_out": rows not counted}. */
KLUERE_API kluere_status kluere_dataset_type_counts(const kluere_dataset *dataset, kluere_text **out);

/* Type mask: strength * prior is added to a row's logits,
 *   prior(l | pair) = log((n(l, pair) + a p(l)) / (n(pair) + a)), p(l) = (n(l) + 1) / (n + labels),
 * n: counted rows, a: smoothing. Labels that the pair has fewer than hard_count times get -10000 instead: their probability
 * is 0, their logits stay finite. no_relation is always allowed. Pairs that were never counted, and entities without a type,
 * are left as they are. In training a row's own label is never hard-masked, so that its loss can fall. */
typedef struct kluere_type_mask_options {
  uint32_t struct_size;
  uint32_t hard_count;  /* 0 (default): no label is impossible */
  double smoothing;     /* a, in rows: 1e-6 to 1e9, default 1 */
  double strength;      /* 0 to 100, default 1; 0: the hard part alone */
  uint32_t in_training; /* 1: training adds it to the logits too; 0 (default): prediction and evaluation alone */
  uint32_t reserved;
} kluere_type_mask_options;
KLUERE_API kluere_status kluere_type_mask_options_init(kluere_type_mask_options *options, size_t struct_size);
/* A new model that shares the weights. dataset: the mask is learned from it (options NULL: the defaults). dataset NULL: the
 * mask that is there, with these options (STATE without one); both NULL: without a mask. A hard mask together with pair heads
 * is refused. */
KLUERE_API kluere_status kluere_model_with_type_mask(const kluere_model *model, const kluere_dataset *dataset,
                                                     const kluere_type_mask_options *options, kluere_model **out);
/* The prior of each label (natural logarithm, before strength and hard_count): label_count doubles; zeros for a pair that was
 * never counted. STATE without a mask. */
KLUERE_API kluere_status kluere_model_type_prior(const kluere_model *model, const char *subject_type,
                                                 size_t subject_type_length, const char *object_type,
                                                 size_t object_type_length, double *out, size_t capacity);
/* {"labels": [...], "type_mask": {...}, "pair_heads": {...}} as in kluere.json, which lists labels by number; what the model
 * lacks is left out. */
KLUERE_API kluere_status kluere_model_types(const kluere_model *model, kluere_text **out);

/* Pair heads: one encoder, and for each pair of types a block of rows of the last linear layer of its own, over the labels that
 * the pair has at least hard_count times, and no_relation. The labels outside a row's block have the logit -10000. The last
 * layer of before stays as a general block over all labels: for pairs without a block, for entities without a type, and in
 * training for rows whose label their pair's block lacks. The blocks are the tensors pair_heads.weight and pair_heads.bias. */
typedef struct kluere_pair_head_options {
  uint32_t struct_size;
  uint32_t hard_count;  /* 1 (default) or more */
  uint32_t min_rows;    /* pairs with fewer rows have no block, default 1 */
  uint32_t random_init; /* 0 (default): blocks begin as copies of the general block's rows; 1: normal(0, initializer_range) */
  uint64_t seed;        /* of those, default 42 */
} kluere_pair_head_options;
KLUERE_API kluere_status kluere_pair_head_options_init(kluere_pair_head_options *options, size_t struct_size);
/* A new model with weights of its own. dataset NULL: the general block alone; options must then be NULL. */
KLUERE_API kluere_status kluere_model_with_pair_heads(const kluere_model *model, const kluere_dataset *dataset,
                                                      const kluere_pair_head_options *options, kluere_model **out);

/* ---- Prediction -------------------------------------------------------------------------------------------------- */
enum { KLUERE_OUTPUT_PROBABILITIES = 0, KLUERE_OUTPUT_LOGITS = 1 };
/* AUTO: probabilities as the model's decoding makes them, if it has one (kluere_model_with_decoding) and the logits are those
 * that it was fitted to: a type mask that is off, or of another strength, makes others, and so does kluere_predictor_classify,
 * which has no types, for a model with a mask. OFF: softmax. Logits are never decoded. */
enum { KLUERE_DECODING_AUTO = 0, KLUERE_DECODING_OFF = 1 };
/* The model's type mask: AUTO: as it is stored; OFF: without it (a strength is then refused). Pair heads are part of the
 * weights and always used. */
enum { KLUERE_TYPE_MASK_AUTO = 0, KLUERE_TYPE_MASK_OFF = 1 };
/* How the weights of the encoder's layers and the word embeddings are kept and multiplied; head, norms, softmax and attention
 * are fp32 in all of them. On the CPU, with KLUERE_PRECISION_FLOAT32. docs/quantization.md has the formulas and what they cost.
 *   AUTO      as the model's folder says (kluere_model_quantize), else FLOAT32; on a GPU FLOAT32
 *   FLOAT32   also for an int8 model: the values that its numbers stand for
 *   BFLOAT16, FLOAT16   half the memory; the results are those of FLOAT32 with weights rounded so, bit for bit. A masked-LM
 *             decoder that is the word embeddings stays as it is; of kluere_model_quantize it has the rounded ones
 *   INT8      a quarter of the memory: a whole number in [-127, 127] for each weight and a scale for each row; inputs of the
 *             layers become whole numbers in [0, 255] row by row, sums of products are exact
 *   INT8_REDUCED  INT8 with larger scales, most often less than twice as large: just so that sums of four products fit in
 *             16 bits. x86 processors without VNNI multiply such numbers faster, as exactly. It is how they are made: a model
 *             quantized so is INT8, and asked for as INT8 or AUTO (INT8_REDUCED: UNSUPPORTED, it is not made twice) */
enum {
  KLUERE_WEIGHTS_AUTO = 0,
  KLUERE_WEIGHTS_FLOAT32 = 1,
  KLUERE_WEIGHTS_BFLOAT16 = 2,
  KLUERE_WEIGHTS_FLOAT16 = 3,
  KLUERE_WEIGHTS_INT8 = 4,
  KLUERE_WEIGHTS_INT8_REDUCED = 5
};
typedef struct kluere_predictor_options {
  uint32_t struct_size;
  int32_t output;        /* default probabilities: softmax over the labels, or the model's decoding */
  uint32_t batch_tokens; /* tokens worked on at once, bounds memory; default 8192 */
  int32_t precision;     /* KLUERE_PRECISION_*, default FLOAT32; UNSUPPORTED if the device lacks it */
  int32_t decoding;      /* KLUERE_DECODING_*, default AUTO */
  int32_t type_mask;     /* KLUERE_TYPE_MASK_*, default AUTO */
  double type_mask_strength; /* in place of the stored one, 0 to 100; -1 (default): as stored. STATE without a mask */
  int32_t weights; /* KLUERE_WEIGHTS_*, default AUTO; made at the first prediction, shared by the model's predictors */
  int32_t threads; /* 0 (default): the context's; else CPU threads of the predictor's own, the caller's included, up to 1024 */
} kluere_predictor_options;

KLUERE_API kluere_status kluere_predictor_options_init(kluere_predictor_options *options, size_t struct_size);
/* Many predictors may share one model, each used by one thread at a time. With threads 0 they take turns on the context's
 * pool. With threads 1 each computes on its caller's thread alone, in memory of its own, beside all others, without a lock
 * once the weights are packed; these are shared, and the results have the same bits. n > 1 starts n - 1 threads. UNSUPPORTED
 * on a GPU, which computes one batch at a time. */
KLUERE_API kluere_status kluere_predictor_create(const kluere_model *model, const kluere_predictor_options *options,
                                                 kluere_predictor **out);
KLUERE_API void kluere_predictor_destroy(kluere_predictor *predictor);
/* out: count rows of label_count floats; capacity in floats. Labels in the examples are ignored. A row's result does
 * not depend on the rows beside it. A bad example fails the call and names its index.
 * A model of an opened folder on a CPU: the first call for up to 8 examples reads the weights where the mapped file has them,
 * each later one packs those of one layer for the calls after it, and a larger call packs what is left. */
KLUERE_API kluere_status kluere_predictor_predict(kluere_predictor *predictor, const kluere_example *examples,
                                                  size_t example_size, size_t count, int32_t offset_unit, float *out,
                                                  size_t capacity);
KLUERE_API kluere_status kluere_predictor_predict_dataset(kluere_predictor *predictor, const kluere_dataset *dataset,
                                                          float *out, size_t capacity);

/* ---- Queue --------------------------------------------------------------------------------------------------------
 * Requests of any number of threads, merged into batches (docs/serving.md). No thread is started: of the callers that wait,
 * one gathers a batch and computes it for all; the next batch is another's. A request's result has the bits that
 * kluere_predictor_predict gives it, whatever is computed beside it. */
typedef struct kluere_queue_options {
  uint32_t struct_size;
  uint32_t max_delay_us;     /* microseconds that a batch's first request waits for others; default 0: what comes while a
                                batch is computed is the next one */
  uint32_t max_batch_rows;   /* default 32; a larger request is a batch of its own */
  uint32_t max_batch_tokens; /* 0 (default): the predictor's batch_tokens, and at most that */
  uint32_t max_waiting;      /* requests that may wait; one more is refused with BUSY; default 1024 */
  uint32_t workers;          /* batches computed at once, each by a predictor; more than one need threads of their own
                                (kluere_predictor_options). 0 (default): the context's thread_count / those, else 1 */
} kluere_queue_options;
typedef struct kluere_queue_info { /* since creation or the last reset; latencies in seconds, from call to answer */
  uint32_t struct_size;
  uint32_t waiting;  /* requests that wait now */
  uint64_t requests; /* that were answered, and their rows */
  uint64_t rows;
  uint64_t batches;
  uint64_t refused;  /* BUSY */
  uint64_t late;     /* TIMEOUT */
  uint64_t failed;   /* any other status */
  double seconds;
  double rows_per_batch;
  double rows_per_second;
  double latency_p50; /* quantiles are off by at most 1.6 % */
  double latency_p95;
  double latency_p99;
  double latency_max;
} kluere_queue_info;

KLUERE_API kluere_status kluere_queue_options_init(kluere_queue_options *options, size_t struct_size);
/* Both options may be NULL: defaults. STATE for a model without a classification head. */
KLUERE_API kluere_status kluere_queue_create(const kluere_model *model, const kluere_predictor_options *predictor,
                                             const kluere_queue_options *options, kluere_queue **out);
/* Closes first. Calls that are inside meanwhile end as after kluere_queue_close; later ones get BAD_HANDLE. */
KLUERE_API void kluere_queue_destroy(kluere_queue *queue);
/* Requests that wait end with CANCELLED, and so does every later one; batches that are being computed are still answered. */
KLUERE_API kluere_status kluere_queue_close(kluere_queue *queue);
/* As kluere_predictor_predict, from any thread; returns with the answer. A bad example fails its own request alone.
 * timeout_us: microseconds until a batch must begin with the request, else TIMEOUT; 0: however long it takes. In a child
 * forked from the queue's process: STATE. */
KLUERE_API kluere_status kluere_queue_predict(kluere_queue *queue, const kluere_example *examples, size_t example_size,
                                              size_t count, int32_t offset_unit, uint64_t timeout_us, float *out,
                                              size_t capacity);
/* Set info->struct_size first. reset: 1: the figures then begin anew; 0. */
KLUERE_API kluere_status kluere_queue_stats(kluere_queue *queue, uint32_t reset, kluere_queue_info *info);

/* ---- All pairs of a sentence ---- */
/* Pairs that are not computed but answered no_relation (1.0) by their types: NONE; IMPOSSIBLE: those that allow no other label,
 * which are the labels of their block of pair heads, else those that the type mask counted at least max(1, hard_count) times;
 * UNSEEN: also types that were never counted together. STATE if the predictor has neither (a mask that is off is none), or no
 * label no_relation. Without a mask a pair is known if it has a block; entities without a type are never pruned. */
enum { KLUERE_PRUNE_NONE = 0, KLUERE_PRUNE_IMPOSSIBLE = 1, KLUERE_PRUNE_UNSEEN = 2 };
typedef struct kluere_pair_options {
  uint32_t struct_size;
  int32_t prune;      /* KLUERE_PRUNE_*, default NONE */
  uint64_t max_pairs; /* more, n (n - 1) for n entities, are refused; default 65536, at most 1048576 */
} kluere_pair_options;
enum { KLUERE_PAIR_COMPUTED = 0, KLUERE_PAIR_PRUNED = 1 };
typedef struct kluere_pair_relation {
  size_t subject; /* indices into the entities */
  size_t object;
  int32_t label;     /* the likeliest, index into the model's labels */
  float probability; /* of that label */
  uint32_t status;   /* KLUERE_PAIR_* */
  uint32_t reserved;
} kluere_pair_relation;
KLUERE_API kluere_status kluere_pair_options_init(kluere_pair_options *options, size_t struct_size);
/* Every ordered pair of the entities that are not the same span (they may overlap), by subject, then object; all in packed
 * batches, each with the bits that kluere_predictor_predict gives it. Where the arguments are good, *count becomes the number
 * of pairs; BUFFER_TOO_SMALL, with nothing computed, if out has no room for them. probabilities (NULL with a capacity of 0:
 * not wanted): count rows of label_count floats, whatever the predictor's output. options may be NULL. */
KLUERE_API kluere_status kluere_predictor_predict_pairs(kluere_predictor *predictor, const char *text, size_t text_length,
                                                        const kluere_entity *entities, size_t entity_count,
                                                        int32_t offset_unit, const kluere_pair_options *options,
                                                        kluere_pair_relation *out, size_t capacity, size_t *count,
                                                        float *probabilities, size_t probability_capacity);

/* ---- Encoder outputs: token ids in, whatever made them ----
 * Inputs lie end to end: input s owns ids offsets[s] to offsets[s + 1]; offsets has input_count + 1 elements, the first 0.
 * Special tokens are the caller's (kluere_tokenizer_encode adds them). Without padding there is no mask. */
typedef struct kluere_token_batch {
  uint32_t struct_size;
  uint32_t reserved;
  const int32_t *ids;
  const int32_t *type_ids; /* one for each id, or NULL: all 0 */
  const size_t *offsets;
  size_t input_count;
} kluere_token_batch;
/* CLS: the first token's state. MEAN: over all tokens, special ones included, as sentence-transformers does. POOLER: the
 * tanh layer over the first token that BertModel calls pooler_output; UNSUPPORTED if the model has none. */
enum { KLUERE_POOLING_CLS = 0, KLUERE_POOLING_MEAN = 1, KLUERE_POOLING_POOLER = 2 };
enum { KLUERE_EMBED_NORMALIZE = 1u }; /* each vector to length 1 */

/* Last hidden states: out [ids, hidden_size]; capacities count floats. Set batch->struct_size first. */
KLUERE_API kluere_status kluere_predictor_hidden_states(kluere_predictor *predictor, const kluere_token_batch *batch,
                                                        float *out, size_t capacity);
/* One vector for each input: out [inputs, hidden_size]. */
KLUERE_API kluere_status kluere_predictor_embed(kluere_predictor *predictor, const kluere_token_batch *batch,
                                                int32_t pooling, uint32_t flags, float *out, size_t capacity);
/* The same for texts: with special tokens, cut to the model's max_tokens. lengths NULL: NUL-terminated texts. */
KLUERE_API kluere_status kluere_predictor_embed_texts(kluere_predictor *predictor, const char *const *texts,
                                                      const size_t *lengths, size_t count, int32_t pooling,
                                                      uint32_t flags, float *out, size_t capacity);
/* The classification head: out [inputs, labels], probabilities or logits as the predictor's options say. UNSUPPORTED for heads
 * that read entities: ids do not tell where they are, nor their types: no type mask, and of pair heads the general block. */
KLUERE_API kluere_status kluere_predictor_classify(kluere_predictor *predictor, const kluere_token_batch *batch,
                                                   float *out, size_t capacity);
/* The masked-LM head (STATE without one) at places among all ids: out [position_count, vocabulary], logits. */
KLUERE_API kluere_status kluere_predictor_mask_logits(kluere_predictor *predictor, const kluere_token_batch *batch,
                                                      const size_t *positions, size_t position_count, float *out,
                                                      size_t capacity);

/* ---- Augmentation by a masked-LM: the beginnings of some words that touch no entity are drawn anew; endings stay ---- */
typedef struct kluere_fill_options {
  uint32_t struct_size;
  uint32_t top_k;          /* likeliest pieces that are drawn from, default 10 */
  uint64_t seed;           /* default 42 */
  double row_share;        /* the chance of each row to be taken, default 1 */
  double word_share;       /* default 0.15, at least one word */
  uint32_t keep_originals; /* 1 (default): they stand before the new rows */
  uint32_t reserved;
} kluere_fill_options;
KLUERE_API kluere_status kluere_fill_options_init(kluere_fill_options *options, size_t struct_size);
/* predictor: of a model with a masked-LM head (else STATE). judge: a predictor of labels whose first choice must be a new
 * row's label, or NULL; with one, rows with hidden labels give nothing. Ids and origins as for kluere_dataset_augment. */
KLUERE_API kluere_status kluere_predictor_fill_in(kluere_predictor *predictor, kluere_predictor *judge,
                                                  const kluere_dataset *dataset, const kluere_fill_options *options,
                                                  kluere_dataset **out);

/* ---- Decoding: what turns logits into the probabilities that decisions are made by --------------------------------
 * p(c) in proportion to exp(logit(c) / temperature) * weight(c) * target(c) / source(c). The temperature makes
 * probabilities honest (Guo et al. 2017) and changes no decision; class weights move decisions towards a higher micro-F1;
 * source and target are shares of the labels, where the model learned and where it is used. Fit it on labelled rows that the
 * model was not trained on. Scores are rows x classes, logits or probabilities by score_space (KLUERE_OUTPUT_*); a
 * probability of 0 counts as 1.2e-38. */
typedef struct kluere_decoding_options {
  uint32_t struct_size;
  uint32_t temperature;   /* 1 (default): the one with the least cross-entropy, 0.01 to 100; 0: 1 */
  uint32_t class_weights; /* 1: tuned for micro-F1 on the rows, counted as in the target; kept only if held-out folds gain
                             by them. 0 (default): all 1 */
  int32_t no_relation;    /* as in kluere_metrics_options */
  int32_t missing_class;  /* as in kluere_metrics_options */
  int32_t score_space;    /* KLUERE_OUTPUT_*, default LOGITS */
  uint32_t folds;         /* for the held-out figures, default 5 */
  int32_t prior_label;    /* a label whose share is known to become prior_share, the others keep their proportions; -1
                             (default): none. Excludes target_prior */
  uint64_t seed;          /* of random folds, default 42 */
  double prior_share;
  const double *source_prior; /* classes shares, above 0; NULL (default): those of the rows, half a row for a label without */
  const double *target_prior; /* classes shares, say of kluere_decoding_prior; NULL (default): no correction */
} kluere_decoding_options;

typedef struct kluere_decoding_figures {
  double micro_f1;
  double auprc;
  double ece;  /* expected calibration error, 15 bins of equal width */
  double loss; /* mean cross-entropy */
  double target_micro_f1; /* each row counted target / source times by its label: as if labels came as in the target */
} kluere_decoding_figures;

typedef struct kluere_decoding_report {
  uint32_t struct_size;
  uint32_t keeps_weights; /* 1: class weights were tuned, and are part of the decoding */
  kluere_decoding_figures before;   /* softmax alone */
  kluere_decoding_figures after;    /* on the rows that it was fitted on */
  kluere_decoding_figures held_out; /* each fold decoded by what the others gave: what to expect on new rows */
} kluere_decoding_report;

typedef struct kluere_decoding_info {
  uint32_t struct_size;
  uint32_t has_weights;
  uint32_t has_priors;
  uint32_t reserved;
  uint64_t classes;
  double temperature;
} kluere_decoding_info;

KLUERE_API kluere_status kluere_decoding_options_init(kluere_decoding_options *options, size_t struct_size);
/* labels: rows, 0 <= label < classes. folds: per row 0 <= fold < options.folds, or NULL: random. report: NULL, or set
 * report->struct_size first. options may be NULL. */
KLUERE_API kluere_status kluere_decoding_fit(const float *scores, const int32_t *labels, const int32_t *folds, size_t rows,
                                             size_t classes, const kluere_decoding_options *options,
                                             kluere_decoding_report *report, kluere_decoding **out);
/* One by its numbers. weights (1e-6 to 1e6), or NULL; source (above 0) and target shares, each with the sum 1, or both
 * NULL; each has classes numbers. */
KLUERE_API kluere_status kluere_decoding_create(size_t classes, double temperature, const double *weights,
                                                const double *source_prior, const double *target_prior,
                                                kluere_decoding **out);
KLUERE_API void kluere_decoding_destroy(kluere_decoding *decoding);
/* Set info->struct_size first. */
KLUERE_API kluere_status kluere_decoding_describe(const kluere_decoding *decoding, kluere_decoding_info *info);
/* Its numbers, 1 where it has none; each NULL or room for capacity >= classes. */
KLUERE_API kluere_status kluere_decoding_read(const kluere_decoding *decoding, double *weights, double *source_prior,
                                              double *target_prior, size_t capacity);
/* Shares of the labels among unlabelled rows, by expectation maximisation from source (Saerens, Latinne and Decaestecker
 * 2002), until they change by less than 1e-10 in sum, at most 10,000 rounds. Right where the probabilities at this
 * temperature are calibrated and only the shares differ. target: classes shares. iterations may be NULL. */
KLUERE_API kluere_status kluere_decoding_prior(const float *scores, size_t rows, size_t classes, int32_t score_space,
                                               double temperature, const double *source_prior, double *target_prior,
                                               uint32_t *iterations);
/* out: rows x classes probabilities, may be scores itself; capacity in floats. Scores must be finite. */
KLUERE_API kluere_status kluere_decoding_apply(const kluere_decoding *decoding, const float *scores, size_t rows,
                                               size_t classes, int32_t score_space, float *out, size_t capacity);
/* The same model, its weights shared, with this decoding (NULL: without one): predictors of it give decoded probabilities,
 * kluere_model_save keeps it. It works on the logits behind type mask and pair heads. A trained model
 * has none, nor one whose type mask, pair heads or head were set anew: it was fitted to other logits. */
KLUERE_API kluere_status kluere_model_with_decoding(const kluere_model *model, const kluere_decoding *decoding,
                                                    kluere_model **out);
/* The model's; STATE if it has none. You destroy it. */
KLUERE_API kluere_status kluere_model_decoding(const kluere_model *model, kluere_decoding **out);

/* ---- Weights in fewer bits ---- */
/* A model that predicts with KLUERE_WEIGHTS_BFLOAT16, FLOAT16, INT8 or INT8_REDUCED, and whose folder holds its weights so,
 * with a mark in kluere.json: opened, it predicts at once. INT8 and INT8_REDUCED: model.int8.safetensors, I8 with F32 scales
 * "..._scale" for the rows; trained it cannot be (UNSUPPORTED), nor opened with new tokens or another head, and transformers
 * finds no weights in it. 16 bits: model.safetensors as transformers opens it. STATE for a model that is quantized already;
 * UNSUPPORTED on a GPU, or for a weight that the form cannot stand for. */
KLUERE_API kluere_status kluere_model_quantize(const kluere_model *model, int32_t weights, kluere_model **out);
/* What that does to the answers: both models' probabilities for labelled rows, by predictors with default options. */
typedef struct kluere_quantization_report {
  uint32_t struct_size;
  int32_t weights;          /* of `quantized`: KLUERE_WEIGHTS_* */
  uint64_t rows;
  uint64_t bytes;           /* of the tensors in the model's folder */
  uint64_t quantized_bytes;
  double micro_f1;          /* fractions of 1 */
  double quantized_micro_f1;
  double auprc;
  double quantized_auprc;
  double equal_answers;     /* share of rows with the same most probable label */
  double largest_difference; /* of a probability */
  double mean_difference;
} kluere_quantization_report;
/* Set out->struct_size first. The models have the same labels. */
KLUERE_API kluere_status kluere_quantization_measure(const kluere_model *model, const kluere_model *quantized,
                                                     const kluere_dataset *dataset, kluere_quantization_report *out);

/* ---- Submissions -------------------------------------------------------------------------------------------------- */
/* Writes the competition's submission file (id,pred_label,probs): probabilities re-ordered from the model's labels to
 * the competition's 30, which the model must have. probabilities: rows x labels as predict_dataset gave them. */
KLUERE_API kluere_status kluere_submission_write(const kluere_model *model, const kluere_dataset *dataset,
                                                 const float *probabilities, size_t capacity, const char *path);
/* The same for probabilities without a model (of an ensemble, say), in the dataset's label order. */
KLUERE_API kluere_status kluere_submission_write_table(const kluere_dataset *dataset, const float *probabilities,
                                                       size_t capacity, const char *path);
/* Reads such a file, whatever made it: out, rows x label_count probabilities in the dataset's row and label order (its
 * labels must be the competition's 30). Rows are found by id; a dataset's rows without ids count from 0. Every row must
 * be there once, with probabilities of 0 to 1; their sum is not checked. predictions: NULL, or one label index a row, of
 * pred_label, which need not be the most probable. On failure out and predictions are untouched. */
KLUERE_API kluere_status kluere_submission_read(const kluere_dataset *dataset, const char *path, float *out,
                                                size_t capacity, int32_t *predictions);

/* ---- Pseudo-labels: rows whose label a model is sure of, as training rows (Lee 2013) --------------------------------- */
typedef struct kluere_pseudo_label_options {
  uint32_t struct_size;
  uint32_t reserved;
  double min_confidence;      /* of the most probable label, default 0.9; 0 to 1 */
  uint64_t max_per_label;     /* > 0: the most confident rows of each label, at most so many; 0 (default): all */
  uint64_t max_rows;          /* > 0: the most confident rows, at most so many; 0 (default): all */
  const double *label_shares; /* one a label, 0 or more: of max_rows (required), label c gets at most its share, rounded: rows
                               * that are distributed as the training set's, say. NULL (default): no shares */
  size_t label_share_count;
} kluere_pseudo_label_options;
KLUERE_API kluere_status kluere_pseudo_label_options_init(kluere_pseudo_label_options *options, size_t struct_size);
/* probabilities: rows x labels in the dataset's label order, as predict_dataset or submission_read give them. out: the rows
 * that are kept, in their order, with their most probable label in place of their own; ids, sources and origins stay. Of
 * equally confident rows the first count more. STATE if no row is kept. rows: NULL, or the kept rows' numbers, *row_count of
 * them; capacity: that of rows, as many as the dataset has. */
KLUERE_API kluere_status kluere_dataset_pseudo_label(const kluere_dataset *dataset, const float *probabilities,
                                                     size_t probability_count,
                                                     const kluere_pseudo_label_options *options, kluere_dataset **out,
                                                     size_t *rows, size_t capacity, size_t *row_count);

/* ---- Metrics ------------------------------------------------------------------------------------------------------
 * As KLUE defines them (KLUE-baseline, metrics/functional.py), as fractions of 1. micro-F1: over all labels but
 * no_relation, rows of no_relation kept as possible false positives. AUPRC: mean over all classes of the trapezoid
 * area under the precision-recall curve. 0/0 counts as 0. */
enum {
  KLUERE_MISSING_CLASS_SKIP = 0, /* AUPRC leaves out classes without a positive row (default; missing_classes counts) */
  KLUERE_MISSING_CLASS_HALF = 1, /* such a class counts 0.5, as scikit-learn >= 1.1 computes it */
  KLUERE_MISSING_CLASS_NAN = 2   /* such a class makes the mean NaN, as scikit-learn 0.24 did */
};
typedef struct kluere_metrics_options {
  uint32_t struct_size;
  int32_t no_relation;   /* index of the label left out of micro-F1; -1: none is. Default 0 */
  int32_t missing_class; /* KLUERE_MISSING_CLASS_* */
  int32_t score_space;   /* KLUERE_OUTPUT_PROBABILITIES (default: scores used as they are) or LOGITS (softmax first) */
} kluere_metrics_options;

typedef struct kluere_metrics {
  uint32_t struct_size;
  uint32_t missing_classes;
  uint64_t rows;
  double micro_f1;
  double micro_precision;
  double micro_recall;
  double auprc;
  double accuracy;
  double loss; /* mean cross-entropy; NaN for scores that are not probabilities */
} kluere_metrics;

typedef struct kluere_class_metrics {
  double precision;
  double recall;
  double f1;
  double auprc;       /* by missing_class where the class has no positive row (SKIP: NaN) */
  uint64_t support;   /* rows of the class */
  uint64_t predicted; /* rows predicted as the class */
  uint64_t correct;
} kluere_class_metrics;

KLUERE_API kluere_status kluere_metrics_options_init(kluere_metrics_options *options, size_t struct_size);
/* scores: rows x classes; labels: rows, 0 <= label < classes. The prediction is the first largest score. per_class: NULL
 * or classes entries. confusion: NULL or classes x classes counts [true][predicted]. Scores must be finite.
 * Set out->struct_size first. options may be NULL. */
KLUERE_API kluere_status kluere_metrics_compute(const float *scores, const int32_t *labels, size_t rows, size_t classes,
                                                const kluere_metrics_options *options, kluere_metrics *out,
                                                kluere_class_metrics *per_class, uint64_t *confusion);
/* The metrics of each group of rows. groups: per row 0 <= group < group_count (the number of its entity-type pair, say) or
 * -1 for none. out: group_count structs of out_size = sizeof(kluere_metrics); struct_size is written. A group without rows
 * has rows 0 and NaN everywhere else. */
KLUERE_API kluere_status kluere_metrics_by_group(const float *scores, const int32_t *labels, const int32_t *groups,
                                                 size_t rows, size_t classes, size_t group_count,
                                                 const kluere_metrics_options *options, kluere_metrics *out,
                                                 size_t out_size);

/* ---- How sure a figure is -----------------------------------------------------------------------------------------
 * Bootstrap: rows are drawn with replacement as often as there are rows, and the figure is computed again; the interval
 * is the middle `confidence` of these figures, ends between two of them interpolated (numpy.quantile). Same seed, same
 * numbers. A figure that is NaN in one resample (AUPRC with KLUERE_MISSING_CLASS_NAN) has a NaN interval. */
enum {
  KLUERE_METRIC_MICRO_F1 = 0,
  KLUERE_METRIC_AUPRC = 1,
  KLUERE_METRIC_LOSS = 2,
  KLUERE_METRIC_ACCURACY = 3,
  KLUERE_METRIC_MICRO_PRECISION = 4,
  KLUERE_METRIC_MICRO_RECALL = 5
};
typedef struct kluere_resampling_options {
  uint32_t struct_size;
  uint32_t resamples; /* default 1000 */
  uint64_t seed;      /* default 42 */
  double confidence;  /* default 0.95 */
} kluere_resampling_options;

typedef struct kluere_interval {
  double value; /* on the rows as they are */
  double low;
  double high;
  double standard_error; /* standard deviation over the resamples */
} kluere_interval;

/* p-values are two-sided, (resamples at least as extreme + 1) / (resamples + 1), against "both systems are equally good".
 * p_bootstrap: resampled differences, shifted to the mean 0 (Efron and Tibshirani 1993). p_randomization: the systems'
 * outputs exchanged row by row at random (approximate randomization: Noreen 1989, Yeh 2000). */
typedef struct kluere_comparison {
  double first;
  double second;
  double difference; /* first - second */
  double low;        /* bootstrap interval of the difference, both systems on the same resampled rows */
  double high;
  double p_bootstrap;
  double p_randomization;
} kluere_comparison;

KLUERE_API kluere_status kluere_resampling_options_init(kluere_resampling_options *options, size_t struct_size);
/* metrics: 1 to 64 of KLUERE_METRIC_*; out: one for each. samples: NULL, or metric_count x resamples figures. Options may
 * be NULL. */
KLUERE_API kluere_status kluere_metrics_bootstrap(const float *scores, const int32_t *labels, size_t rows,
                                                  size_t classes, const kluere_metrics_options *options,
                                                  const kluere_resampling_options *resampling, const int32_t *metrics,
                                                  size_t metric_count, kluere_interval *out, double *samples);
/* Two systems on the same rows. samples: NULL, or metric_count x resamples differences of the bootstrap. */
KLUERE_API kluere_status kluere_metrics_compare(const float *first, const float *second, const int32_t *labels,
                                                size_t rows, size_t classes, const kluere_metrics_options *options,
                                                const kluere_resampling_options *resampling, const int32_t *metrics,
                                                size_t metric_count, kluere_comparison *out, double *samples);

/* ---- Calibration and coverage: what a probability is worth ----
 * Scores are probabilities (0 to 1), or logits with score_space. */
enum { KLUERE_BINS_WIDTH = 0, KLUERE_BINS_MASS = 1 }; /* equal widths of 0 to 1; equally many rows */
typedef struct kluere_calibration_options {
  uint32_t struct_size;
  uint32_t bins;   /* default 15 */
  int32_t binning; /* KLUERE_BINS_*; default WIDTH */
  int32_t label;   /* -1 (default): the predicted label's probability; else that label's, right where it is the row's */
} kluere_calibration_options;

typedef struct kluere_calibration {
  uint32_t struct_size;
  uint32_t bins;
  uint64_t rows;
  double ece;        /* expected calibration error: |confidence - accuracy| of the bins, weighted by rows (Guo et al. 2017) */
  double mce;        /* the largest of them */
  double brier;      /* mean squared error of the probabilities, summed over the classes; of one label: of that one */
  double confidence; /* mean */
  double accuracy;
} kluere_calibration;

typedef struct kluere_calibration_bin { /* of (low, high], the first with its low end */
  double low;
  double high;
  double confidence; /* mean; NaN without rows */
  double accuracy;   /* NaN without rows */
  uint64_t rows;
} kluere_calibration_bin;

typedef struct kluere_coverage {
  uint32_t struct_size;
  uint32_t reserved;
  double aurc;        /* area under the coverage-risk curve (Geifman and El-Yaniv 2017) */
  double excess_aurc; /* what lies above the curve of a ranking that has all errors at its end (Geifman et al. 2019) */
  double risk;        /* share of wrong predictions among all rows */
} kluere_coverage;

typedef struct kluere_coverage_point { /* rows whose confidence is at least threshold; equal ones stay together */
  double coverage; /* their share of all rows */
  double threshold;
  double risk;     /* share of wrong predictions among them */
  double micro_f1; /* of them alone */
} kluere_coverage_point;

KLUERE_API kluere_status kluere_calibration_options_init(kluere_calibration_options *options, size_t struct_size);
/* bins: NULL or options.bins entries. Set out->struct_size first. */
KLUERE_API kluere_status kluere_metrics_calibration(const float *scores, const int32_t *labels, size_t rows,
                                                    size_t classes, const kluere_metrics_options *options,
                                                    const kluere_calibration_options *calibration,
                                                    kluere_calibration *out, kluere_calibration_bin *bins,
                                                    size_t capacity);
/* points: NULL, or point_count points with coverages of at least 1/point_count, 2/point_count ... 1. Set
 * out->struct_size first. */
KLUERE_API kluere_status kluere_metrics_coverage(const float *scores, const int32_t *labels, size_t rows,
                                                 size_t classes, const kluere_metrics_options *options,
                                                 kluere_coverage *out, kluere_coverage_point *points,
                                                 size_t point_count);

/* ---- Ensembles ----------------------------------------------------------------------------------------------------
 * A member is its scores for the same rows and classes, whatever made them. SOFT: the weighted mean of the probabilities.
 * HARD: each member votes with its weight for its first largest class; the result is each class's share of the votes. Of
 * classes with equally many votes the one with the larger weighted sum of probabilities wins, then the first; the winner
 * of a tie is one unit in the last place above the others, so that the first largest score is always the decision. */
enum { KLUERE_VOTE_SOFT = 0, KLUERE_VOTE_HARD = 1 };
typedef struct kluere_ensemble_options {
  uint32_t struct_size;
  int32_t vote;          /* KLUERE_VOTE_*; the search of weights is for SOFT */
  int32_t score_space;   /* KLUERE_OUTPUT_*: of all members; LOGITS: softmax first */
  int32_t no_relation;   /* as in kluere_metrics_options */
  int32_t missing_class; /* as in kluere_metrics_options */
  int32_t metric;        /* KLUERE_METRIC_*: what ranking and search go by; default micro-F1 */
  uint32_t rounds;       /* of the search, default 50 */
  uint32_t folds;        /* of the search, default 5 */
  uint64_t seed;         /* of the search's random folds, default 42 */
} kluere_ensemble_options;

typedef struct kluere_subset {
  uint64_t members; /* bit i: member i */
  double micro_f1;
  double auprc;
  double accuracy;
  double loss;
} kluere_subset;

/* In options.metric. leave_one_out and shapley are gains: positive is good, for the loss too. */
typedef struct kluere_contribution {
  double alone;
  double without;       /* all members but this one */
  double leave_one_out; /* gain of the full ensemble by this member */
  double shapley;       /* its gain averaged over all orders of joining; all add up to the full ensemble's value, or for the
                           loss to what it gains over an even guess */
} kluere_contribution;

typedef struct kluere_weight_search {
  uint32_t struct_size;
  uint32_t folds;
  double value;         /* of the weights found, on the rows they were found on */
  double held_out;      /* each fold judged with weights found on the others: what to expect on new rows */
  double equal_weights; /* of equal weights, on all rows */
} kluere_weight_search;

KLUERE_API kluere_status kluere_ensemble_options_init(kluere_ensemble_options *options, size_t struct_size);
/* members: 1 to 62 pointers to rows x classes scores. weights: one for each, at least 0, some above; NULL: equal. out: rows
 * x classes, capacity in floats. options may be NULL, here and below. */
KLUERE_API kluere_status kluere_ensemble_combine(const float *const *members, size_t member_count,
                                                 const double *weights, size_t rows, size_t classes,
                                                 const kluere_ensemble_options *options, float *out, size_t capacity);
/* Every combination of 1 to 16 members, best first; equal ones: fewer members, then the lower bits. out needs room for
 * 2^member_count - 1; *count of them are written (fewer where weights are 0). Metric: MICRO_F1, AUPRC, LOSS or ACCURACY.
 * contributions: NULL, or one for each member. */
KLUERE_API kluere_status kluere_ensemble_rank(const float *const *members, size_t member_count, const double *weights,
                                              const int32_t *labels, size_t rows, size_t classes,
                                              const kluere_ensemble_options *options, kluere_subset *out,
                                              size_t capacity, kluere_contribution *contributions, size_t *count);
/* Soft-voting weights that suit these rows (out-of-fold predictions of the training rows, say, never the rows that you
 * report on): the member that helps most is added, rounds times, the same one more than once, and the best mean on the way
 * is kept (Caruana et al. 2004). folds: per row 0 <= fold < options.folds, or NULL: random. weights: member_count numbers
 * with the sum 1. fold_weights: NULL, or folds x member_count, as held_out used them. Set out->struct_size first. */
KLUERE_API kluere_status kluere_ensemble_search(const float *const *members, size_t member_count, const int32_t *labels,
                                                const int32_t *folds, size_t rows, size_t classes,
                                                const kluere_ensemble_options *options, kluere_weight_search *out,
                                                double *weights, double *fold_weights);

/* ---- Pipelines: several models that answer as one ----------------------------------------------------------------------
 *   MEAN     every member sees every row; they vote (as in kluere_ensemble_combine)
 *   CASCADE  a binary member (two labels, one of them no_relation) says whether there is a relation, the others say which
 *   PAIRS    members for some pairs of entity types, a general one for the rest
 * A row goes to the specific member for its types, else to the general one; each member sees only the rows that reach it.
 * Several members for the same question are averaged (the models of k folds, say). Labels are matched by name: every member's
 * must be among the pipeline's; a label that a specific member lacks has probability 0 from it. */
enum { KLUERE_PIPELINE_MEAN = 0, KLUERE_PIPELINE_CASCADE = 1, KLUERE_PIPELINE_PAIRS = 2 };
enum { KLUERE_MEMBER_GENERAL = 0, KLUERE_MEMBER_BINARY = 1, KLUERE_MEMBER_SPECIFIC = 2 };
/* p0 and p1: the binary member's probabilities of no_relation and of a relation; q: those of the general or specific one.
 *   THRESHOLD  p0 > threshold: no_relation p0, each other label p1 / (labels - 1); else q as it is
 *   PRODUCT    no_relation p0, each other label p1 q / (sum of q over them); all rows reach both */
enum { KLUERE_CASCADE_THRESHOLD = 0, KLUERE_CASCADE_PRODUCT = 1 };
typedef struct kluere_pipeline_member { /* zero it first: {0} */
  const kluere_model *model;
  const char *subject_type; /* of SPECIFIC, NUL-terminated ("": examples without a type), else NULL */
  const char *object_type;
  int32_t role; /* KLUERE_MEMBER_* */
  int32_t reserved;
} kluere_pipeline_member;
typedef struct kluere_pipeline_options {
  uint32_t struct_size;
  int32_t kind;     /* KLUERE_PIPELINE_*, default MEAN */
  int32_t rule;     /* of CASCADE: KLUERE_CASCADE_*; -1 (default): THRESHOLD */
  int32_t vote;     /* of MEAN: KLUERE_VOTE_*; -1 (default): SOFT */
  double threshold; /* of THRESHOLD, 0 to 1; -1 (default): 0.765 */
  const char *const *labels; /* NULL (default): the first general member's, after no_relation if a cascade's lacks it */
  size_t label_count;
} kluere_pipeline_options;
typedef struct kluere_pipeline_info {
  uint32_t struct_size;
  int32_t kind;
  int32_t rule;     /* -1: not a cascade */
  int32_t vote;     /* -1: not a mean */
  double threshold; /* -1: no THRESHOLD */
  uint64_t members;
  uint64_t labels;
} kluere_pipeline_info;
typedef struct kluere_pipeline_member_info { /* strings live with the pipeline; NULL: none */
  uint32_t struct_size;
  int32_t role;
  const char *subject_type;
  const char *object_type;
  const char *folder; /* inside the folder that was opened */
} kluere_pipeline_member_info;

KLUERE_API kluere_status kluere_pipeline_options_init(kluere_pipeline_options *options, size_t struct_size);
/* member_size: sizeof(kluere_pipeline_member). predictor: its options are those of all members (output must be PROBABILITIES,
 * a type_mask_strength is for those with a mask); NULL, as options: defaults. */
KLUERE_API kluere_status kluere_pipeline_create(const kluere_pipeline_member *members, size_t member_size,
                                                size_t member_count, const kluere_pipeline_options *options,
                                                const kluere_predictor_options *predictor, kluere_pipeline **out);
/* A folder with pipeline.json and the model folders that it names (docs/pipelines.md). */
KLUERE_API kluere_status kluere_pipeline_open(const kluere_context *context, const char *directory,
                                              const kluere_predictor_options *predictor, kluere_pipeline **out);
/* Writes pipeline.json and every member's folder beside their place and swaps the folder in. */
KLUERE_API kluere_status kluere_pipeline_save(const kluere_pipeline *pipeline, const char *directory);
KLUERE_API void kluere_pipeline_destroy(kluere_pipeline *pipeline);
/* Set struct_size first, here and below. */
KLUERE_API kluere_status kluere_pipeline_describe(const kluere_pipeline *pipeline, kluere_pipeline_info *info);
KLUERE_API kluere_status kluere_pipeline_describe_member(const kluere_pipeline *pipeline, size_t index,
                                                         kluere_pipeline_member_info *info);
KLUERE_API size_t kluere_pipeline_label_count(const kluere_pipeline *pipeline);
KLUERE_API const char *kluere_pipeline_label(const kluere_pipeline *pipeline, size_t index); /* NULL if there is none */
/* As kluere_predictor_predict: out, rows x labels probabilities. */
KLUERE_API kluere_status kluere_pipeline_predict(kluere_pipeline *pipeline, const kluere_example *examples,
                                                 size_t example_size, size_t count, int32_t offset_unit, float *out,
                                                 size_t capacity);
KLUERE_API kluere_status kluere_pipeline_predict_dataset(kluere_pipeline *pipeline, const kluere_dataset *dataset,
                                                         float *out, size_t capacity);

/* ---- Training -----------------------------------------------------------------------------------------------------
 * step() is the primitive; run() is a loop over step() with evaluation and checkpoints that you could write yourself.
 * The update is AdamW as torch.optim.AdamW does it (no decay on biases and layer norms). The loss is cross entropy, or what
 * kluere_loss_options says: the mean over all sentences of an update, however they are split into micro-batches. */
/* Each after warm-up, as transformers' get_scheduler. */
enum {
  KLUERE_SCHEDULE_LINEAR = 0,
  KLUERE_SCHEDULE_COSINE = 1,
  KLUERE_SCHEDULE_CONSTANT = 2,
  KLUERE_SCHEDULE_COSINE_WITH_RESTARTS = 3,
  KLUERE_SCHEDULE_POLYNOMIAL = 4,
  KLUERE_SCHEDULE_INVERSE_SQRT = 5 /* 1 / sqrt(update / warm-up); without warm-up 10000 in its place */
};
enum {
  KLUERE_OPTIMIZER_ADAMW = 0,   /* torch.optim.AdamW */
  KLUERE_OPTIMIZER_ADAMW_HF = 1 /* transformers.AdamW of versions before 5, correct_bias=True: epsilon is added before the
                                 * bias correction, decay comes after the update */
};
enum { KLUERE_BEST_MICRO_F1 = 0, KLUERE_BEST_AUPRC = 1, KLUERE_BEST_LOSS = 2 };

/* The loss of a training run. A sentence with logits z, label y and p = softmax(z) has the
 *   hard loss   CROSS_ENTROPY  sum over classes j of w_j q_j (-log p_j)
 *               FOCAL          sum over j of alpha_j w_j q_j (1 - p_j)^gamma (-log p_j)        (Lin et al. 2017)
 *               LDAM           w_y (-log softmax(s (z - m_y [j = y]))_y), m_y = max_m (n_y / n_min)^(-1/4)  (Cao et al. 2019)
 *   q           q_y = 1, others 0; with label_smoothing e and C classes
 *               ALL            e / C for every class and 1 - e more for y: torch's label_smoothing, transformers' LabelSmoother
 *               OTHERS         1 - e for y, e / (C - 1) for each other class
 *   w           class weights: given, or by a rule from n_j, the training rows of label j (0 for labels without rows):
 *               INVERSE 1 / n_j, SQRT 1 / sqrt(n_j), EFFECTIVE (1 - beta) / (1 - beta^n_j) (Cui et al. 2019); then scaled so
 *               that their mean over the labels that have rows is 1 (MEAN_CLASSES), or over the rows (MEAN_ROWS,
 *               scikit-learn's "balanced" with INVERSE), or not at all (AS_IS). Weights that are given are taken as they are.
 * An update's loss is the sum of its sentences' losses over their number, or, with weighted_mean, over the sum of their w_y
 * (torch's CrossEntropyLoss(weight)); of the whole update, however it is cut into micro-batches.
 *   r_drop      alpha > 0: each sentence is in the batch twice, with dropout of its own: the mean of both hard losses +
 *               alpha (KL(p || p') + KL(p' || p)) / 2 (Liang et al. 2021). Tokens of a batch count twice.
 *   soft_targets  a teacher's probabilities t for the training rows: (1 - share) hard + share T^2 KL(t' || softmax(z / T)),
 *               t' = t^(1/T) / sum of t^(1/T) (Hinton et al. 2015)
 * What contradicts something else is refused with both names. Evaluation reports plain cross entropy whatever the loss. */
enum { KLUERE_LOSS_CROSS_ENTROPY = 0, KLUERE_LOSS_FOCAL = 1, KLUERE_LOSS_LDAM = 2 };
enum {
  KLUERE_CLASS_WEIGHTS_NONE = 0,
  KLUERE_CLASS_WEIGHTS_INVERSE = 1,
  KLUERE_CLASS_WEIGHTS_SQRT = 2,
  KLUERE_CLASS_WEIGHTS_EFFECTIVE = 3
};
enum { KLUERE_WEIGHT_SCALE_MEAN_CLASSES = 0, KLUERE_WEIGHT_SCALE_MEAN_ROWS = 1, KLUERE_WEIGHT_SCALE_AS_IS = 2 };
enum { KLUERE_SMOOTHING_ALL = 0, KLUERE_SMOOTHING_OTHERS = 1 };

typedef struct kluere_loss_options {
  uint32_t struct_size;
  int32_t kind;               /* KLUERE_LOSS_* */
  int32_t class_weight_rule;  /* KLUERE_CLASS_WEIGHTS_*, default NONE */
  int32_t class_weight_scale; /* KLUERE_WEIGHT_SCALE_* of a rule's weights, default MEAN_CLASSES */
  double effective_beta;      /* -1 (default): 0.9999; EFFECTIVE alone */
  const float *class_weights; /* one a label, in the model's order, 0 or more; NULL (default): by the rule */
  size_t class_weight_count;
  double weights_from;        /* class weights begin after this share of the updates (LDAM's deferred re-weighting); 0 */
  uint32_t weighted_mean;     /* 1: divided by the sum of the sentences' class weights; 0 (default): by their number */
  int32_t smoothing_mode;     /* KLUERE_SMOOTHING_*, default ALL */
  double label_smoothing;     /* e, 0 (default) to 1; not with LDAM */
  double focal_gamma;         /* -1 (default): 2; FOCAL alone, like the next three */
  double focal_alpha;         /* -1 (default): 1; a factor of every hard loss */
  const float *focal_alphas;  /* one a label; NULL (default): focal_alpha for all */
  size_t focal_alpha_count;
  uint32_t detach_pt;         /* 1: (1 - p)^gamma is taken as a constant: no gradient goes through it */
  uint32_t reserved;
  double ldam_margin;         /* -1 (default): 0.5, the margin of the rarest label; LDAM alone */
  double ldam_scale;          /* -1 (default): 30, the s above; LDAM alone */
  double r_drop;              /* alpha; 0 (default): none */
  const float *soft_targets;  /* training rows x labels in the model's order, copied; rows sum to 1. NULL (default): none */
  size_t soft_target_count;
  double temperature;         /* T; -1 (default): 1. Only with soft_targets, like the next */
  double distill_share;       /* -1 (default): 0.5; at 1 the labels play no part */
} kluere_loss_options;
KLUERE_API kluere_status kluere_loss_options_init(kluere_loss_options *options, size_t struct_size);

typedef struct kluere_train_options {
  uint32_t struct_size;
  uint32_t batch_sentences; /* per micro-batch, default 32 */
  uint32_t batch_tokens;    /* > 0: micro-batches of at most this many tokens in place of batch_sentences */
  uint32_t accumulation;    /* micro-batches per update, default 1 */
  uint64_t seed;            /* order of the rows and dropout, default 42 */
  uint64_t max_steps;       /* > 0: this many updates; 0 (default): by epochs */
  double epochs;            /* default 3; fractions allowed */
  double learning_rate;     /* peak, default 5e-5 */
  double beta1;             /* 0.9 */
  double beta2;             /* 0.999 */
  double epsilon;           /* 1e-8 */
  double weight_decay;      /* 0.01 */
  double max_grad_norm;     /* global 2-norm, default 1; 0 = no clipping */
  int32_t schedule;         /* KLUERE_SCHEDULE_* */
  uint32_t group_by_length; /* 1: sentences of like length share a batch; 0 (default): random order */
  uint64_t warmup_steps;    /* used when > 0 */
  double warmup_ratio;      /* else this share of all updates, default 0.1 */
  float hidden_dropout;     /* -1 (default): the model's */
  float attention_dropout;  /* -1 (default): the model's */
  float classifier_dropout; /* -1 (default): the model's */
  int32_t best_metric;      /* KLUERE_BEST_*: decides checkpoint-best and early stopping */
  uint64_t evaluate_every;  /* updates between evaluations in run(); 0 (default): at the end of each epoch */
  uint64_t checkpoint_every; /* updates between writes of checkpoint-last in run(); 0 (default): at each evaluation */
  uint64_t patience;        /* evaluations without improvement before run() stops early; 0 (default): never */
  const char *output_directory; /* NULL (default): run() writes no files */
  int32_t precision;        /* KLUERE_PRECISION_*, default FLOAT32; UNSUPPORTED if the device lacks it */
  uint32_t split_on_out_of_memory; /* 1: micro-batches that do not fit the device's memory are computed in parts, which
                                    * changes results by rounding; 0 (default): OUT_OF_MEMORY with the sizes */
  const kluere_loss_options *loss; /* NULL (default): cross entropy. Read by the call that takes these options */
  uint32_t multi_sample_dropout; /* masks of the dropout before the head's output layer, 1 (default) to 64; the loss is the
                                  * mean of theirs (Inoue 2019). More than 1 needs a classifier_dropout */
  int32_t optimizer;             /* KLUERE_OPTIMIZER_*, default ADAMW */
  /* Learning rates by depth, with L layers counted from 0: layer l learns with learning_rate * layer_decay^(L - l), the
   * embeddings (and ELECTRA's projection) with layer_decay^(L + 1), what is behind the last layer with
   * head_learning_rate_factor (the rule of BEiT, Bao et al. 2022). */
  double layer_decay;                /* 1 (default): off; else in (0, 1) */
  double head_learning_rate_factor;  /* more than 0, default 1 */
  uint32_t freeze_embeddings;        /* 1: tables, their layer norm and projection stay as they are; default 0 */
  uint32_t freeze_layers;            /* so many of the lowest layers stay as they are, default 0. Frozen parameters have no
                                      * gradient (gradient_read gives 0), no decay, and no part in the norm; their dropout
                                      * stays. With freeze_embeddings the backward pass ends above them */
  /* Averages of the weights, as torch.optim.swa_utils.AveragedModel. From the first weights averaged on, evaluate(), run()'s
   * evaluations, export_model and the model of a checkpoint folder are the average; training and resuming go on with the
   * weights themselves (training_weights.safetensors in a checkpoint). EMA together with SWA is refused. */
  double ema_decay;        /* 0 (default): none; average = ema_decay * average + (1 - ema_decay) * weights, each update */
  double swa_start;        /* 0 (default): none; equal mean (Izmailov et al. 2018) after this share of the updates */
  uint64_t swa_every;      /* updates from one summand to the next, default 1 */
  double swa_learning_rate; /* > 0: constant from swa_start on; 0 (default): the schedule's */
  uint32_t ema_warmup;     /* 1: decay min(ema_decay, (1 + n) / (10 + n)) after n updates; 0 (default): ema_decay */
  uint32_t checkpoint_activations; /* 1: a layer's values are computed again in the backward pass (Chen et al. 2016): less
                                    * memory, more time, the same bits; default 0 */
  double schedule_cycles;  /* COSINE: waves, COSINE_WITH_RESTARTS: falls; 0 (default): transformers' 0.5 and 1 */
  double schedule_power;   /* POLYNOMIAL; 0 (default): transformers' 1 */
  double end_learning_rate; /* POLYNOMIAL; -1 (default): transformers' 1e-7 */
} kluere_train_options;

typedef struct kluere_step_info {
  uint32_t struct_size;
  uint32_t done; /* 1 after the last update */
  uint64_t step; /* updates made so far */
  uint64_t total_steps;
  uint64_t sentences; /* in this update */
  uint64_t tokens;    /* in this update */
  double epoch;       /* passes over the data so far */
  double loss;        /* what is minimised: mean over the update's sentences, with dropout */
  double learning_rate; /* without the factors by depth */
  double grad_norm; /* before clipping */
  double seconds;   /* this update */
  uint32_t skipped; /* FLOAT16: 1: gradients overflowed; nothing was changed, and the loss scale was halved */
  uint32_t reserved;
  double loss_scale; /* of this update; 1 in the other precisions */
} kluere_step_info;

enum { KLUERE_EVENT_STEP = 0, KLUERE_EVENT_EVALUATION = 1, KLUERE_EVENT_CHECKPOINT = 2 };
typedef struct kluere_train_event {
  uint32_t struct_size;
  int32_t kind;
  const kluere_step_info *step;
  const kluere_metrics *metrics; /* EVALUATION, else NULL */
  const char *path;              /* CHECKPOINT: the folder written, else NULL */
  uint32_t is_best;              /* EVALUATION, CHECKPOINT: the best so far */
  uint32_t reserved;
} kluere_train_event;
/* Called inside run(), on its thread, after each event; the event is valid during the call. Return 0 to go on, anything
 * else to stop: run() then writes checkpoint-last (if it has a folder) and returns CANCELLED. Must not throw or longjmp;
 * may call any kluere function except on this trainer (request_stop excepted). */
typedef int32_t (*kluere_train_fn)(void *userdata, const kluere_train_event *event);

KLUERE_API kluere_status kluere_train_options_init(kluere_train_options *options, size_t struct_size);
/* Copies the weights: initial stays as it is. evaluation may be NULL. options may be NULL. Every row of train needs a
 * label that the model has. */
KLUERE_API kluere_status kluere_trainer_create(const kluere_model *initial, const kluere_dataset *train,
                                               const kluere_dataset *evaluation, const kluere_train_options *options,
                                               kluere_trainer **out);
/* Goes on where a checkpoint of run() or save_checkpoint stopped, bit for bit. directory: a checkpoint folder, or the
 * output_directory of run(), whose checkpoint-last is taken. train and evaluation must hold the rows of then (checked).
 * Further checkpoints go beside the one that was read. Options are those of then. */
KLUERE_API kluere_status kluere_trainer_resume(const kluere_context *context, const char *directory,
                                               const kluere_dataset *train, const kluere_dataset *evaluation,
                                               kluere_trainer **out);
KLUERE_API void kluere_trainer_destroy(kluere_trainer *trainer);
/* One update. STATE after the last one. NOT_FINITE: the update was not made, the weights are those before it.
 * Set info->struct_size first; info may be NULL. */
KLUERE_API kluere_status kluere_trainer_step(kluere_trainer *trainer, kluere_step_info *info);
/* All remaining updates, with evaluations, checkpoint-last and checkpoint-best in output_directory (both are model
 * folders that kluere_model_open reads) and early stopping. on_event may be NULL. OK at the end; CANCELLED when stopped:
 * call again to go on. */
KLUERE_API kluere_status kluere_trainer_run(kluere_trainer *trainer, kluere_train_fn on_event, void *userdata);
/* Makes step(), run() or evaluate() in progress on another thread, or else the next run(), return CANCELLED soon.
 * Safe from any thread and from a signal handler while the trainer exists. */
KLUERE_API void kluere_trainer_request_stop(kluere_trainer *trainer);
/* The present weights (their average, if there is one) on labelled rows, without dropout. Set out->struct_size first. */
KLUERE_API kluere_status kluere_trainer_evaluate(kluere_trainer *trainer, const kluere_dataset *dataset,
                                                 kluere_metrics *out);
/* A model with a copy of the present weights, or of their average, if there is one. */
KLUERE_API kluere_status kluere_trainer_export_model(kluere_trainer *trainer, kluere_model **out);
/* For exact resume with the same version of the library; also a model folder. Written as model_save writes. */
KLUERE_API kluere_status kluere_trainer_save_checkpoint(kluere_trainer *trainer, const char *directory);
/* Gradient of the last step() before clipping, tensor numbered as in the model (kluere_model_tensor_describe). */
KLUERE_API kluere_status kluere_trainer_gradient_read(kluere_trainer *trainer, size_t tensor, float *out,
                                                      size_t capacity);

/* ---- Masked-LM training -------------------------------------------------------------------------------------------
 * Pretraining from random weights, and further pretraining on a task's own sentences (TAPT: Gururangan et al. 2020), by the
 * trainer above: step(), run(), checkpoints and export are those of classification. The model has the task MASKED_LM;
 * what is saved opens with every task, and in transformers. docs/pretraining.md */

/* LINES: a line is a row, or several where it is too long. PACK: lines are laid end to end, with the separator between two
 * documents, and cut where a row is full (the last one may be short). */
enum { KLUERE_CORPUS_LINES = 0, KLUERE_CORPUS_PACK = 1 };
typedef struct kluere_corpus_options {
  uint32_t struct_size;
  uint32_t max_tokens; /* of a row, special tokens included; default 128 */
  int32_t rows;        /* KLUERE_CORPUS_*, default LINES */
  int32_t bad_lines;   /* lines that are not UTF-8: KLUERE_BAD_ROWS_STOP (default): refused by number; SKIP: left out */
  int32_t input_form;  /* datasets: KLUERE_INPUT_*: rows as a classifier sees them; -1 (default): the sentence alone */
  uint32_t reserved;
} kluere_corpus_options;

typedef struct kluere_corpus_info {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t rows;
  uint64_t tokens;  /* special tokens included */
  uint64_t lines;   /* not blank, and not skipped */
  uint64_t cut;     /* LINES: those that gave more than one row; with an input form: sentences that were cropped */
  uint64_t skipped; /* lines left out by SKIP */
} kluere_corpus_info;

KLUERE_API kluere_status kluere_corpus_options_init(kluere_corpus_options *options, size_t struct_size);
/* UTF-8 text files, a paragraph a line; a blank line, and a file's end, end a document. The files are read through memory
 * maps: they must not be cut short meanwhile. The tokenizer needs a mask token. options may be NULL. */
KLUERE_API kluere_status kluere_corpus_read(const kluere_tokenizer *tokenizer, const char *const *paths,
                                            size_t path_count, const kluere_corpus_options *options,
                                            kluere_corpus **out);
/* Lines in memory; a blank one ends a document. lengths in bytes; NULL: the lines are NUL-terminated. */
KLUERE_API kluere_status kluere_corpus_create(const kluere_tokenizer *tokenizer, const char *const *lines,
                                              const size_t *lengths, size_t count,
                                              const kluere_corpus_options *options, kluere_corpus **out);
/* The sentences of datasets (train, say, or train and test), each a document; labels are not looked at. An input form whose
 * tokens the tokenizer lacks is refused: open it with added_special_tokens. */
KLUERE_API kluere_status kluere_corpus_from_datasets(const kluere_tokenizer *tokenizer,
                                                     const kluere_dataset *const *datasets, size_t count,
                                                     const kluere_corpus_options *options, kluere_corpus **out);
KLUERE_API void kluere_corpus_destroy(kluere_corpus *corpus);
/* Set info->struct_size first. */
KLUERE_API kluere_status kluere_corpus_describe(const kluere_corpus *corpus, kluere_corpus_info *info);
/* Token ids of row index; type_ids: NULL or as many. Always writes *count, the tokens there are. */
KLUERE_API kluere_status kluere_corpus_row(const kluere_corpus *corpus, size_t index, int32_t *ids, int32_t *type_ids,
                                           size_t capacity, size_t *count);

/* Of each row every token is asked for by chance; of those some are shown as the mask token, some as a random piece of the
 * whole vocabulary, the rest as they are (Devlin et al. 2019). Special tokens and the unknown token are never asked for. Masks
 * are drawn anew in every pass over the rows, as a function of train_options.seed, the pass and the row alone. */
typedef struct kluere_masked_lm_options {
  uint32_t struct_size;
  uint32_t whole_words;    /* 1: all pieces of a word are asked for, or none (chance and shares as below); default 0 */
  double mask_probability; /* default 0.15 */
  double mask_share;       /* default 0.8 */
  double random_share;     /* default 0.1; both together at most 1 */
  uint64_t evaluation_seed; /* of the masks of evaluations, which are always the same; default 42 */
} kluere_masked_lm_options;
KLUERE_API kluere_status kluere_masked_lm_options_init(kluere_masked_lm_options *options, size_t struct_size);
/* A masked row: ids as they are shown; labels: the true id where one is asked for, else -100. pass: from 0. Training has
 * (train_options.seed, number of passes made before), evaluations have (evaluation_seed, 0). Always writes *count. */
KLUERE_API kluere_status kluere_corpus_mask(const kluere_corpus *corpus, size_t index,
                                            const kluere_masked_lm_options *options, uint64_t seed, uint64_t pass,
                                            int32_t *ids, int32_t *labels, size_t capacity, size_t *count);

/* kluere_trainer_create for a model of the task MASKED_LM (STATE without its head). The corpora need the model's pieces and
 * fit its positions. The loss of an update is the mean over all tokens that it asks for, and that of kluere_step_info; an
 * update that asks for none has loss 0. best_metric must be KLUERE_BEST_LOSS, classifier_dropout -1,
 * multi_sample_dropout 1, loss NULL or plain cross entropy, freeze_embeddings 0 where the decoder is tied. Events of
 * evaluations have metrics with rows (tokens asked for), loss and accuracy; the rest is NaN. masking, options: NULL: defaults,
 * with KLUERE_BEST_LOSS. */
KLUERE_API kluere_status kluere_trainer_create_masked_lm(const kluere_model *initial, const kluere_corpus *train,
                                                         const kluere_corpus *evaluation,
                                                         const kluere_masked_lm_options *masking,
                                                         const kluere_train_options *options, kluere_trainer **out);
/* As kluere_trainer_resume, with the corpora of then. A checkpoint of the other kind of training is refused (STATE). */
KLUERE_API kluere_status kluere_trainer_resume_masked_lm(const kluere_context *context, const char *directory,
                                                         const kluere_corpus *train, const kluere_corpus *evaluation,
                                                         kluere_trainer **out);

typedef struct kluere_masked_lm_figures {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t tokens;   /* that were asked for */
  double loss;       /* mean cross-entropy in nats */
  double perplexity; /* e^loss */
  double accuracy;   /* share of the tokens that were the likeliest piece */
} kluere_masked_lm_figures;
/* The present weights, without dropout, with the masks of the run's evaluations. Set out->struct_size first. */
KLUERE_API kluere_status kluere_trainer_evaluate_masked_lm(kluere_trainer *trainer, const kluere_corpus *corpus,
                                                           kluere_masked_lm_figures *out);
/* The same for any model with a masked-LM head. options may be NULL; those that count are the shares and evaluation_seed. */
KLUERE_API kluere_status kluere_predictor_evaluate_masked_lm(kluere_predictor *predictor, const kluere_corpus *corpus,
                                                             const kluere_masked_lm_options *options,
                                                             kluere_masked_lm_figures *out);

/* ---- Recipes ------------------------------------------------------------------------------------------------------
 * Sets of options with a name: KLUE's baselines, the competition's, the six models of its report, and papers'. A recipe is
 * JSON, one of the library's or a file of yours: {"name": ..., "model": {...}, "training": {...}, "loss": {...},
 * "corpus": {...}, "masking": {...}, "pretraining": {...}}, whose keys are fields of the structs below (of the model those of
 * input and head; no paths, arrays or sizes); enums by their names, in lower case without the prefix. "title", "source",
 * "backbone", "published", "notes" and "pipeline" are for readers.
 * docs/recipes.md */
KLUERE_API size_t kluere_recipe_count(void);
KLUERE_API const char *kluere_recipe_name(size_t index); /* of the library's; NULL if there is none; lives for ever */
/* name: one of those, or the path of a file that ends in .json. What no option has, or is no value for it, is refused. */
KLUERE_API kluere_status kluere_recipe_open(const char *name, kluere_recipe **out);
KLUERE_API void kluere_recipe_destroy(kluere_recipe *recipe);
KLUERE_API const char *kluere_recipe_json(const kluere_recipe *recipe); /* NULL for a bad handle; lives with the recipe */
/* Each writes what the recipe says into structs that *_options_init has filled, and leaves the rest as it is; NULL: not wanted.
 * Strings in the structs live with the recipe. A struct is written whole or not at all; VERSION: one of an older header has
 * no room for what is to be set. */
KLUERE_API kluere_status kluere_recipe_apply_model(const kluere_recipe *recipe, kluere_model_config *config,
                                                   kluere_model_open_options *open);
/* A recipe with a loss needs loss where train is given: train->loss is set to it. */
KLUERE_API kluere_status kluere_recipe_apply_training(const kluere_recipe *recipe, kluere_train_options *train,
                                                      kluere_loss_options *loss);
/* Of the masked-LM training before it; STATE if the recipe has none. */
KLUERE_API kluere_status kluere_recipe_apply_pretraining(const kluere_recipe *recipe, kluere_corpus_options *corpus,
                                                         kluere_masked_lm_options *masking, kluere_train_options *train);

#ifdef __cplusplus
}
#endif
#endif
