/* embedding.c - embeddings of packed tokens, the gradients of their tables, rows taken out of and added into arrays, spans
 * of rows pooled. */
#include "operation.h"

/* Above this many rows, a table's gradient looks for equal indices; below, each row is a column sum of its own: one or
 * two token types would make blocks that add the whole batch. */
#define FEW_ROWS 4

static int check(kc_device *device, size_t rows, size_t width) {
  if (width > KC_WIDEST) return kc_fail(device, KC_UNSUPPORTED, "rows of %zu columns; at most %d", width, KC_WIDEST);
  if (rows > KC_MOST_BLOCKS) return kc_fail(device, KC_UNSUPPORTED, "%zu rows; at most %u", rows, KC_MOST_BLOCKS);
  return KC_OK;
}

static int embedding(kc_device *device, kc_embedding_parameters *p, int type) {
  int status = check(device, p->rows, p->width);
  if (status != KC_OK || p->rows == 0 || p->width == 0) return status;
  p->warps = kc_row_warps(p->width);
  p->vectors = kc_vectors(p->width, kc_address(p->y) | kc_address(p->xhat) | kc_address(p->stream) |
                                        kc_address(p->word) | kc_address(p->position) | kc_address(p->type) |
                                        kc_address(p->gain) | kc_address(p->bias));
  unsigned slots = kc_block_slots(p->warps);
  kc_grid grid = {(unsigned)kc_divide_up(p->rows, slots), 1, 1};
  return kc_launch(device, KC_KERNEL_FOR(kc_embedding, type), grid, 32 * p->warps * slots, 0, p, sizeof *p);
}

int kc_embedding(kc_device *device, kc_array y, float *stream, kc_array xhat, float *rstd, const kc_tables *tables,
                 const kc_tokens *tokens, const float *gain, const float *bias, size_t rows, size_t width,
                 float epsilon, const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_embedding_parameters p = {.y = y.data,
                               .xhat = xhat.data,
                               .stream = stream,
                               .rstd = rstd,
                               .word = tables->word,
                               .position = tables->position,
                               .type = tables->type,
                               .gain = gain,
                               .bias = bias,
                               .ids = tokens->ids,
                               .positions = tokens->positions,
                               .types = tokens->types,
                               .rows = rows,
                               .width = (unsigned)width,
                               .epsilon = epsilon,
                               .mask = kc_mask_of(dropout)};
  if (xhat.data && !kc_same_storage(xhat.type, y.type))
    status =
        kc_fail(device, KC_UNSUPPORTED, "embeddings of type %d with normalised values of type %d", y.type, xhat.type);
  else
    status = embedding(device, &p, y.type);
  return kc_leave(device, status);
}

/* ---- backward ---- */

static int table_gradient(kc_device *device, float *table, kc_array dy, const int32_t *index, int32_t padding,
                          size_t rows, size_t width) {
  kc_table_parameters p = {.table = table,
                           .x = dy.data,
                           .index = index,
                           .padding = padding,
                           .rows = (unsigned)rows,
                           .width = (unsigned)width,
                           .vectors = kc_vectors(width, kc_address(table) | kc_address(dy.data))};
  unsigned threads = kc_row_threads(width);
  kc_grid grid = {(unsigned)rows, 1, 1};
  return kc_launch(device, KC_KERNEL_FOR(kc_table_gradient, dy.type), grid, threads < 128 ? 128 : threads, 0, &p,
                   sizeof p);
}

static int type_gradient(kc_device *device, const kc_tables *gradients, kc_array dy, const int32_t *types, size_t rows,
                         size_t width, float *scratch) {
  if (gradients->type_rows > FEW_ROWS) return table_gradient(device, gradients->type, dy, types, -1, rows, width);
  int status = KC_OK;
  for (int32_t type = 0; type < gradients->type_rows && status == KC_OK; type++)
    status = kc_column_sums(device, gradients->type + (size_t)type * width, dy, types, type, rows, width, scratch);
  return status;
}

static int embedding_backward(kc_device *device, const kc_tables *gradients, const kc_norm_gradient *norm,
                              const kc_tokens *tokens) {
  size_t rows = norm->rows, width = norm->width;
  int status = check(device, rows, width);
  if (status != KC_OK || rows == 0 || width == 0) return status;
  size_t sums = kc_column_sums_scratch(rows, width), parts = kc_norm_scratch(device, rows, width);
  void *scratch = NULL; /* the norm's sums are added before the types' are made */
  status = kc_scratch(device, (sums > parts ? sums : parts) * sizeof(float), &scratch);
  if (status == KC_OK) status = kc_norm_backward(device, norm, scratch);
  if (status == KC_OK)
    status = table_gradient(device, gradients->word, norm->dy, tokens->ids, gradients->word_padding, rows, width);
  if (status == KC_OK)
    status = table_gradient(device, gradients->position, norm->dy, tokens->positions, gradients->position_padding, rows,
                            width);
  if (status == KC_OK) status = type_gradient(device, gradients, norm->dy, tokens->types, rows, width, scratch);
  return status;
}

int kc_embedding_backward(kc_device *device, const kc_tables *gradients, float *dgain, float *dbias, kc_array dy,
                          kc_array xhat, const float *rstd, const float *gain, const kc_tokens *tokens, size_t rows,
                          size_t width, const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_norm_gradient norm = {.dsum = dy,
                           .dy = dy,
                           .xhat = xhat,
                           .dgain = dgain,
                           .dbias = dbias,
                           .rstd = rstd,
                           .gain = gain,
                           .rows = rows,
                           .width = width,
                           .mask_first = 1,
                           .dropout = dropout};
  return kc_leave(device, embedding_backward(device, gradients, &norm, tokens));
}

/* ---- rows ---- */

static int move_rows(kc_device *device, int kernel, kc_array x, float *values, const int32_t *index, size_t count,
                     size_t width) {
  if (count == 0 || width == 0) return KC_OK;
  if (count > KC_MOST_BLOCKS || width > UINT32_MAX)
    return kc_fail(device, KC_UNSUPPORTED, "%zu rows of %zu columns; at most %u rows", count, width, KC_MOST_BLOCKS);
  kc_rows_parameters p = {.x = x.data,
                          .values = values,
                          .index = index,
                          .count = count,
                          .width = (unsigned)width,
                          .vectors = kc_vectors(width, kc_address(x.data) | kc_address(values))};
  kc_grid grid = {(unsigned)count, 1, 1};
  return kc_launch(device, kernel, grid, kc_row_threads(width), 0, &p, sizeof p);
}

int kc_gather_rows(kc_device *device, float *y, kc_array x, const int32_t *index, size_t count, size_t width) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  return kc_leave(device, move_rows(device, KC_KERNEL_FOR(kc_gather_rows, x.type), x, y, index, count, width));
}

int kc_scatter_add_rows(kc_device *device, kc_array dx, const float *dy, const int32_t *index, size_t count,
                        size_t width) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  float *values = (float *)(uintptr_t)dy; /* the one struct of both kernels; this one only reads them */
  return kc_leave(device, move_rows(device, KC_KERNEL_FOR(kc_scatter_rows, dx.type), dx, values, index, count, width));
}

/* ---- spans ---- */

static int pool(kc_device *device, int kernel, size_t blocks, kc_pool_parameters *p) {
  if (blocks == 0 || p->width == 0) return KC_OK;
  p->vectors = kc_vectors(p->width, kc_address(p->x) | kc_address(p->values));
  kc_grid grid = {(unsigned)blocks, 1, 1};
  return kc_launch(device, kernel, grid, kc_row_threads(p->width), 0, p, sizeof *p);
}

static int check_spans(kc_device *device, size_t features, size_t count, size_t width) {
  if (features > UINT32_MAX || width > UINT32_MAX || (features > 0 && count > KC_MOST_BLOCKS / features))
    return kc_fail(device, KC_UNSUPPORTED, "%zu spans of %zu sentences, %zu columns; at most %u spans", features, count,
                   width, KC_MOST_BLOCKS);
  return KC_OK;
}

int kc_pool_spans(kc_device *device, float *y, int32_t *largest, const float *x, const int32_t *spans, size_t features,
                  size_t count, size_t width, int maximum) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_pool_parameters p = {.x = (float *)(uintptr_t)x, /* one struct for both ways; this one only reads it */
                          .values = y,
                          .largest = largest,
                          .spans = spans,
                          .count = count,
                          .features = (unsigned)features,
                          .width = (unsigned)width,
                          .maximum = maximum};
  status = check_spans(device, features, count, width);
  if (status == KC_OK) status = pool(device, KC_K_kc_pool_spans_f32, features * count, &p);
  return kc_leave(device, status);
}

int kc_pool_spans_backward(kc_device *device, float *dx, const float *dy, const int32_t *largest, const int32_t *spans,
                           size_t features, size_t count, size_t width) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_pool_parameters p = {.x = dx,
                          .values = (float *)(uintptr_t)dy,
                          .largest = (int32_t *)(uintptr_t)largest,
                          .spans = spans,
                          .count = count,
                          .features = (unsigned)features,
                          .width = (unsigned)width};
  status = check_spans(device, features, count, width);
  if (status == KC_OK) status = pool(device, KC_K_kc_pool_gradient_f32, count, &p);
  return kc_leave(device, status);
}
