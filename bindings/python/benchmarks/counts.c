/* counts.c - runs one hot loop of kluere so many times, for bench_counts.py to count its instructions under callgrind. Linked
 * with kluere's arithmetic (Sources/CKluereCPU) and, for the tokenizers, with libkluere.so.
 *
 *   counts LOOP REPETITIONS ARGUMENT...      loops and arguments: the table at the end
 *
 * One thread. Prints, as JSON, the instruction set and the units of work that one repetition is. What happens before the
 * repetitions does not depend on their number: it drops out where two runs are subtracted. */
#include <kluere.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kluere_cpu.h"

enum { LAYER_SENTENCE = 64, VOCABULARY = 4000, POSITIONS = 512, DROPPED = 6554 /* of 65536: a tenth */ };

static kk_engine *engine;
static long repetitions;
static char **arguments;
static int argument_count;

static void fail(const char *what) {
  fprintf(stderr, "counts: %s\n", what);
  exit(1);
}

static void done(int status) {
  if (status != 0) fail("memory ran out");
}

static void checked(kluere_status status) {
  char message[1024];
  if (status == KLUERE_OK) return;
  kluere_last_error(message, sizeof message);
  fail(message);
}

static const char *argument(int index) {
  if (index >= argument_count) fail("an argument is missing: see the head of counts.c");
  return arguments[index];
}

static size_t size_of(int index) { return (size_t)strtoul(argument(index), NULL, 10); }

static int is_set(int index) { return size_of(index) != 0; }

/* ---- inputs ------------------------------------------------------------------------------------------------------- */
static void *memory(size_t bytes) {
  void *found = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!found) fail("memory ran out");
  return memset(found, 0, bytes);
}

static float *zeros(size_t count) { return memory(count * sizeof(float)); }

static uint32_t random_bits(void) {
  static uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 32);
}

/* About normal, as a layer's values are: the sum of four that are even, with variance 1. */
static float *values(size_t count) {
  float *found = zeros(count);
  for (size_t i = 0; i < count; i++) {
    double sum = 0;
    for (int part = 0; part < 4; part++) sum += random_bits() / 4294967296.0 - 0.5;
    found[i] = (float)(sum * 1.7320508);
  }
  return found;
}

static int32_t *indices(size_t count, uint32_t limit) {
  int32_t *found = memory(count * sizeof(int32_t));
  for (size_t i = 0; i < count; i++) found[i] = (int32_t)(random_bits() % limit);
  return found;
}

/* Row r is token r % 64 of sentence r / 64. */
static uint32_t *places(size_t rows, int sentences) {
  uint32_t *found = memory(rows * sizeof(uint32_t));
  for (size_t row = 0; row < rows; row++) found[row] = (uint32_t)(sentences ? row / LAYER_SENTENCE : row % LAYER_SENTENCE);
  return found;
}

static const kk_dropout *dropout(int wanted, size_t rows) {
  static kk_dropout made;
  made = (kk_dropout){.seed = 7, .threshold = DROPPED, .site = 3, .sample = places(rows, 1), .position = places(rows, 0)};
  return wanted ? &made : NULL;
}

/* ---- products: ROWS IN OUT; the unit is 1000 multiply-adds ------------------------------------------------------ */
typedef struct shape {
  size_t rows, in, out;
  double units;
} shape;

static shape product_shape(void) {
  shape s = {size_of(0), size_of(1), size_of(2), 0};
  s.units = 1e-3 * (double)s.rows * (double)s.in * (double)s.out;
  return s;
}

static double forward(void) {
  shape s = product_shape();
  float *y = zeros(s.rows * s.out), *x = values(s.rows * s.in), *w = values(s.out * s.in);
  for (long i = 0; i < repetitions; i++) done(kk_linear(engine, y, NULL, x, w, NULL, s.rows, s.out, s.in, KK_ACT_NONE));
  return s.units;
}

static double forward_packed(void) {
  shape s = product_shape();
  float *y = zeros(s.rows * s.out), *x = values(s.rows * s.in), *w = values(s.out * s.in);
  float *packed = zeros(kk_packed_size(engine, s.out, s.in));
  kk_pack(engine, packed, w, s.out, s.in);
  for (long i = 0; i < repetitions; i++)
    done(kk_linear_packed(engine, y, x, packed, NULL, s.rows, s.out, s.in, KK_ACT_NONE));
  return s.units;
}

static double narrow(int form, int fours_fit) {
  shape s = product_shape();
  float *y = zeros(s.rows * s.out), *x = values(s.rows * s.in), *w = values(s.out * s.in), *scales = zeros(s.out);
  void *few = memory(s.out * s.in * sizeof(uint16_t)), *packed = memory(kk_packed_narrow_size(engine, s.out, s.in, form));
  if (form == KK_WEIGHTS_S8) {
    done(kk_quantize_rows(engine, few, scales, w, s.out, s.in, fours_fit));
  } else {
    done(kk_narrow(engine, few, w, s.out * s.in, form));
  }
  kk_pack_narrow(engine, packed, few, scales, s.out, s.in, form);
  for (long i = 0; i < repetitions; i++)
    done(kk_linear_narrow(engine, y, x, packed, NULL, s.rows, s.out, s.in, KK_ACT_NONE, form));
  return s.units;
}

static double forward_bf16(void) { return narrow(KK_WEIGHTS_BF16, 0); }
static double forward_f16(void) { return narrow(KK_WEIGHTS_F16, 0); }
static double forward_s8(void) { return narrow(KK_WEIGHTS_S8, 0); }
static double forward_s8_reduced(void) { return narrow(KK_WEIGHTS_S8, 1); }

static double gradient_x(void) {
  shape s = product_shape();
  float *dx = zeros(s.rows * s.in), *dy = values(s.rows * s.out), *w = values(s.out * s.in);
  for (long i = 0; i < repetitions; i++) done(kk_linear_backward_input(engine, dx, dy, w, s.rows, s.out, s.in, 0));
  return s.units;
}

/* With the sums for the bias: training always wants both. */
static double gradient_w(void) {
  shape s = product_shape();
  float *dw = zeros(s.out * s.in), *dbias = zeros(s.out), *dy = values(s.rows * s.out), *x = values(s.rows * s.in);
  for (long i = 0; i < repetitions; i++)
    done(kk_linear_backward_weight(engine, dw, dbias, dy, x, s.rows, s.out, s.in));
  return s.units;
}

/* ---- attention: SENTENCES TOKENS HEADS HEAD_WIDTH DROPOUT TRAINING; the unit is a token ------------------------------- */
typedef struct heads {
  kk_attention_input input;
  size_t rows, width;
} heads;

/* Queries, keys and values are one product's result, as in the encoder. */
static heads attention_heads(const float *joined) {
  size_t sentences = size_of(0), tokens = size_of(1), count = size_of(2), width = count * size_of(3);
  int32_t *offsets = memory((sentences + 1) * sizeof(int32_t));
  for (size_t i = 0; i <= sentences; i++) offsets[i] = (int32_t)(i * tokens);
  kk_attention_input input = {joined,  joined + width, 3 * width, 3 * width,  offsets,
                              offsets, sentences,      count,     size_of(3), NULL};
  return (heads){input, sentences * tokens, width};
}

static float *attention_values(void) { return values(3 * size_of(0) * size_of(1) * size_of(2) * size_of(3)); }

static double attention(void) {
  heads h = attention_heads(attention_values());
  const kk_dropout *drop = dropout(is_set(4), h.rows);
  float *out = zeros(h.rows * h.width), *lse = is_set(5) ? zeros(h.rows * h.input.heads) : NULL;
  for (long i = 0; i < repetitions; i++) done(kk_attention(engine, out, lse, &h.input, drop));
  return (double)h.rows;
}

static double attention_backward(void) {
  heads h = attention_heads(attention_values());
  const kk_dropout *drop = dropout(is_set(4), h.rows);
  float *out = zeros(h.rows * h.width), *lse = zeros(h.rows * h.input.heads), *dout = values(h.rows * h.width);
  float *gradients = zeros(3 * h.rows * h.width);
  done(kk_attention(engine, out, lse, &h.input, drop));
  for (long i = 0; i < repetitions; i++)
    done(kk_attention_backward(engine, gradients, gradients + h.width, dout, out, lse, &h.input, drop));
  return (double)h.rows;
}

/* ---- GELU: ROWS WIDTH; the unit is an element -------------------------------------------------------------------- */
static double gelu(void) {
  size_t count = size_of(0) * size_of(1);
  float *y = zeros(count), *x = values(count);
  for (long i = 0; i < repetitions; i++) kk_activate(engine, KK_ACT_GELU, y, x, count);
  return (double)count;
}

static double gelu_backward(void) {
  size_t count = size_of(0) * size_of(1);
  float *dx = zeros(count), *dy = values(count), *x = values(count);
  for (long i = 0; i < repetitions; i++) kk_activate_backward(engine, KK_ACT_GELU, dx, dy, x, count);
  return (double)count;
}

/* ---- residual and layer norm: ROWS WIDTH DROPOUT; the unit is an element ----------------------------------------- */
typedef struct norm {
  float *y, *xhat, *rstd, *x, *residual, *gain, *bias;
  size_t rows, width;
  const kk_dropout *drop;
} norm;

/* Has run once: its backward needs xhat and rstd. */
static norm norm_of_rows(void) {
  norm n = {.rows = size_of(0), .width = size_of(1)};
  size_t count = n.rows * n.width;
  n.y = zeros(count), n.xhat = zeros(count), n.rstd = zeros(n.rows);
  n.x = values(count), n.residual = values(count), n.gain = values(n.width), n.bias = values(n.width);
  n.drop = dropout(is_set(2), n.rows);
  kk_residual_norm(engine, n.y, n.xhat, n.rstd, n.x, n.residual, n.gain, n.bias, n.rows, n.width, 1e-5f, n.drop);
  return n;
}

static double residual_norm(void) {
  norm n = norm_of_rows();
  for (long i = 0; i < repetitions; i++)
    kk_residual_norm(engine, n.y, n.xhat, n.rstd, n.x, n.residual, n.gain, n.bias, n.rows, n.width, 1e-5f, n.drop);
  return (double)(n.rows * n.width);
}

static double residual_norm_backward(void) {
  norm n = norm_of_rows();
  size_t count = n.rows * n.width;
  float *dx = n.drop ? zeros(count) : NULL, *dsum = zeros(count), *dgain = zeros(n.width), *dbias = zeros(n.width);
  float *dy = values(count);
  for (long i = 0; i < repetitions; i++)
    done(kk_residual_norm_backward(engine, dx, dsum, dgain, dbias, dy, n.xhat, n.rstd, n.gain, n.rows, n.width, n.drop));
  return (double)count;
}

/* ---- embedding: TOKENS WIDTH DROPOUT; the unit is a token -------------------------------------------------------- */
typedef struct tables {
  float *word, *position, *type, *gain, *bias, *y, *xhat, *rstd;
  int32_t *ids, *positions, *types;
  size_t rows, width;
  const kk_dropout *drop;
} tables;

static tables embedding_tables(void) {
  tables t = {.rows = size_of(0), .width = size_of(1)};
  size_t count = t.rows * t.width;
  t.word = values(VOCABULARY * t.width), t.position = values(POSITIONS * t.width), t.type = values(t.width);
  t.gain = values(t.width), t.bias = values(t.width);
  t.y = zeros(count), t.xhat = zeros(count), t.rstd = zeros(t.rows);
  t.ids = indices(t.rows, VOCABULARY), t.positions = (int32_t *)places(t.rows, 0), t.types = indices(t.rows, 1);
  t.drop = dropout(is_set(2), t.rows);
  return t;
}

static void embed(const tables *t) {
  kk_embedding(engine, t->y, t->xhat, t->rstd, t->word, t->position, t->type, t->ids, t->positions, t->types, t->gain,
               t->bias, t->rows, t->width, 1e-5f, t->drop);
}

static double embedding(void) {
  tables t = embedding_tables();
  for (long i = 0; i < repetitions; i++) embed(&t);
  return (double)t.rows;
}

/* Each repetition's gradient is what the one before left: the values change, the work does not. */
static double embedding_backward(void) {
  tables t = embedding_tables();
  float *dword = zeros(VOCABULARY * t.width), *dposition = zeros(POSITIONS * t.width), *dtype = zeros(t.width);
  float *dgain = zeros(t.width), *dbias = zeros(t.width), *dy = values(t.rows * t.width);
  embed(&t);
  for (long i = 0; i < repetitions; i++)
    done(kk_embedding_backward(engine, dword, dposition, dtype, dgain, dbias, dy, t.xhat, t.rstd, t.gain, t.ids, t.positions,
                               t.types, t.rows, t.width, VOCABULARY, POSITIONS, 1, 1, -1, t.drop));
  return (double)t.rows;
}

/* ---- AdamW: PARAMETERS, its unit; cross entropy: ROWS CLASSES, the unit is a row --------------------------------- */
static double adamw(void) {
  size_t count = size_of(0);
  float *w = values(count), *m = zeros(count), *v = zeros(count), *gradient = values(count);
  kk_adamw how = {.learning_rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .weight_decay = 0.01f,
                  .grad_scale = 1.0f, .correction1 = 0.1, .correction2 = 0.001};
  for (long i = 0; i < repetitions; i++) kk_adamw_apply(engine, w, m, v, gradient, count, &how);
  return (double)count;
}

static double cross_entropy(void) {
  size_t rows = size_of(0), classes = size_of(1);
  double *loss = memory(rows * sizeof(double));
  float *gradient = zeros(rows * classes), *logits = values(rows * classes);
  int32_t *labels = indices(rows, (uint32_t)classes);
  for (long i = 0; i < repetitions; i++)
    kk_cross_entropy(engine, loss, gradient, logits, labels, rows, classes, 1.0f / (float)rows);
  return (double)rows;
}

/* ---- tokenizer: FOLDER FILE, a sentence a line; the unit is a token ---------------------------------------------- */
static char *file_text(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) fail("cannot read the sentences");
  *length = (size_t)ftell(file);
  char *text = memory(*length + 1);
  rewind(file);
  if (fread(text, 1, *length, file) != *length) fail("cannot read the sentences");
  fclose(file);
  return text;
}

static double tokenizer(void) {
  size_t length, count = 0, most = 0;
  char *text = file_text(argument(1), &length);
  for (size_t i = 0; i < length; i++) most += text[i] == '\n';
  const char **texts = memory(most * sizeof *texts);
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) texts[count++] = line;

  kluere_context *context = NULL;
  kluere_tokenizer *opened = NULL;
  kluere_context_options options;
  kluere_encode_options how;
  checked(kluere_context_options_init(&options, sizeof options));
  options.thread_count = 1;
  checked(kluere_context_create(&options, &context));
  checked(kluere_tokenizer_open(context, argument(0), NULL, &opened));
  checked(kluere_encode_options_init(&how, sizeof how));
  how.offset_unit = KLUERE_OFFSETS_CODE_POINTS;
  size_t capacity = length + 8 * count; /* a text has no more tokens than bytes, and some that are added */
  int32_t *ids = memory(capacity * sizeof *ids), *types = memory(capacity * sizeof *types);
  uint32_t *offsets = memory(2 * capacity * sizeof *offsets);
  size_t *splits = memory((count + 1) * sizeof *splits);
  for (long i = 0; i < repetitions; i++)
    checked(kluere_tokenizer_encode_batch(context, opened, texts, NULL, NULL, NULL, count, &how, ids, types, offsets,
                                          capacity, splits));
  return (double)splits[count];
}

static const struct {
  const char *name;
  double (*run)(void); /* the units of one repetition */
} loops[] = {
    {"forward", forward},             /* ROWS IN OUT */
    {"forward_packed", forward_packed},
    {"forward_bf16", forward_bf16},
    {"forward_f16", forward_f16},
    {"forward_s8", forward_s8},
    {"forward_s8_reduced", forward_s8_reduced},
    {"gradient_x", gradient_x},
    {"gradient_w", gradient_w},
    {"attention", attention},         /* SENTENCES TOKENS HEADS HEAD_WIDTH DROPOUT TRAINING */
    {"attention_backward", attention_backward}, /* the same but the last */
    {"gelu", gelu},                   /* ROWS WIDTH */
    {"gelu_backward", gelu_backward},
    {"residual_norm", residual_norm}, /* ROWS WIDTH DROPOUT */
    {"residual_norm_backward", residual_norm_backward},
    {"embedding", embedding},         /* TOKENS WIDTH DROPOUT */
    {"embedding_backward", embedding_backward},
    {"adamw", adamw},                 /* PARAMETERS */
    {"cross_entropy", cross_entropy}, /* ROWS CLASSES */
    {"tokenizer", tokenizer},         /* FOLDER FILE */
};

int main(int argc, char **argv) {
  if (argc < 3) fail("usage: counts LOOP REPETITIONS ARGUMENT...");
  repetitions = strtol(argv[2], NULL, 10);
  arguments = argv + 3;
  argument_count = argc - 3;
  engine = kk_engine_create(KK_ISA_AUTO, 1);
  if (!engine || repetitions < 0) fail("no engine, or a bad number of repetitions");
  for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
    if (strcmp(loops[i].name, argv[1]) == 0) {
      double units = loops[i].run();
      printf("{\"instruction_set\": \"%s\", \"units\": %.17g}\n", kk_isa_name(kk_engine_isa(engine)), units);
      return 0;
    }
  fail("no such loop");
  return 1;
}
