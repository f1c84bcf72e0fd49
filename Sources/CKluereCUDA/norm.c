/* norm.c - residual, dropout and layer norm; column sums. */
#include "operation.h"

static int check_width(kc_device *device, size_t rows, size_t width) {
  if (width > KC_WIDEST) return kc_fail(device, KC_UNSUPPORTED, "rows of %zu columns; at most %d", width, KC_WIDEST);
  if (rows > KC_MOST_BLOCKS) return kc_fail(device, KC_UNSUPPORTED, "%zu rows; at most %u", rows, KC_MOST_BLOCKS);
  return KC_OK;
}

/* ---- forward ---- */

static int residual_norm(kc_device *device, kc_array y, float *stream, kc_array xhat, float *rstd, kc_array x,
                         kc_array residual, const float *gain, const float *bias, size_t rows, size_t width,
                         float epsilon, const kc_dropout *dropout) {
  int residual_type = residual.data ? residual.type : x.type;
  if (!kc_same_storage(y.type, x.type) || (xhat.data && !kc_same_storage(xhat.type, x.type)) ||
      !kc_stream_fits(x.type, residual_type))
    return kc_fail(device, KC_UNSUPPORTED, "layer norm of type %d with residual of type %d to type %d", x.type,
                   residual_type, y.type);
  int status = check_width(device, rows, width);
  if (status != KC_OK || rows == 0 || width == 0) return status;
  uintptr_t addresses = kc_address(y.data) | kc_address(xhat.data) | kc_address(stream) | kc_address(x.data) |
                        kc_address(residual.data) | kc_address(gain) | kc_address(bias);
  kc_norm_parameters p = {.y = y.data,
                          .xhat = xhat.data,
                          .stream = stream,
                          .rstd = rstd,
                          .x = x.data,
                          .residual = residual.data,
                          .gain = gain,
                          .bias = bias,
                          .rows = rows,
                          .width = (unsigned)width,
                          .warps = kc_row_warps(width),
                          .epsilon = epsilon,
                          .mask = kc_mask_of(dropout),
                          .vectors = kc_vectors(width, addresses)};
  unsigned slots = kc_block_slots(p.warps);
  kc_grid grid = {(unsigned)kc_divide_up(rows, slots), 1, 1};
  return kc_launch(device, KC_KERNEL_FOR_STREAM(kc_residual_norm, x.type, residual_type), grid, 32 * p.warps * slots, 0,
                   &p, sizeof p);
}

int kc_residual_norm(kc_device *device, kc_array y, float *stream, kc_array xhat, float *rstd, kc_array x,
                     kc_array residual, const float *gain, const float *bias, size_t rows, size_t width, float epsilon,
                     const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  status = residual_norm(device, y, stream, xhat, rstd, x, residual, gain, bias, rows, width, epsilon, dropout);
  return kc_leave(device, status);
}

/* ---- backward ---- */

/* Rows of a block: enough blocks to fill the chip, few enough that their sums cost little beside the rows. */
static size_t block_rows(const kc_device *device, size_t rows, unsigned slots) {
  size_t most = 6 * (size_t)kc_multiprocessors(device), wanted = kc_divide_up(rows, 4 * (size_t)slots);
  size_t blocks = wanted < most ? wanted : most;
  size_t each = kc_divide_up(rows, blocks > 0 ? blocks : 1);
  return kc_divide_up(each, slots) * slots;
}

size_t kc_norm_scratch(const kc_device *device, size_t rows, size_t width) {
  if (rows == 0 || width == 0) return 0;
  return 2 * kc_divide_up(rows, block_rows(device, rows, kc_block_slots(kc_row_warps(width)))) * width;
}

int kc_norm_backward(kc_device *device, const kc_norm_gradient *g, float *scratch) {
  if ((g->dx.data && !kc_same_storage(g->dx.type, g->xhat.type)) || !kc_stream_fits(g->xhat.type, g->dy.type) ||
      (g->dsum.data && !kc_same_storage(g->dsum.type, g->dy.type)))
    return kc_fail(device, KC_UNSUPPORTED, "layer norm's gradient of type %d with values of type %d", g->dy.type,
                   g->xhat.type);
  int status = check_width(device, g->rows, g->width);
  if (status != KC_OK || g->rows == 0 || g->width == 0) return status;
  kc_norm_backward_parameters p = {.dx = g->dx.data,
                                   .dsum = g->dsum.data,
                                   .dy = g->dy.data,
                                   .xhat = g->xhat.data,
                                   .rstd = g->rstd,
                                   .gain = g->gain,
                                   .rows = g->rows,
                                   .width = (unsigned)g->width,
                                   .warps = kc_row_warps(g->width),
                                   .mask_first = g->mask_first,
                                   .mask = kc_mask_of(g->dropout)};
  unsigned slots = kc_block_slots(p.warps);
  p.block_rows = block_rows(device, g->rows, slots);
  size_t blocks = kc_divide_up(g->rows, p.block_rows);
  p.gain_sums = scratch;
  p.bias_sums = scratch + blocks * g->width;
  p.vectors = kc_vectors(g->width, kc_address(p.dx) | kc_address(p.dsum) | kc_address(p.dy) | kc_address(p.xhat) |
                                       kc_address(p.gain) | kc_address(scratch));
  kc_grid grid = {(unsigned)blocks, 1, 1};
  status = kc_launch(device, KC_KERNEL_FOR_STREAM(kc_norm_backward, g->xhat.type, g->dy.type), grid,
                     32 * p.warps * slots, 0, &p, sizeof p);
  if (status != KC_OK) return status;
  float *to[2] = {g->dgain, g->dbias};
  const float *from[2] = {p.gain_sums, p.bias_sums};
  return kc_add_column_sums(device, to, from, 2, blocks, g->width);
}

int kc_residual_norm_backward(kc_device *device, kc_array dx, kc_array dsum, float *dgain, float *dbias, kc_array dy,
                              kc_array xhat, const float *rstd, const float *gain, size_t rows, size_t width,
                              const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_norm_gradient gradient = {.dx = dx,
                               .dsum = dsum,
                               .dy = dy,
                               .xhat = xhat,
                               .dgain = dgain,
                               .dbias = dbias,
                               .rstd = rstd,
                               .gain = gain,
                               .rows = rows,
                               .width = width,
                               .dropout = dropout};
  void *scratch = NULL;
  status = kc_scratch(device, kc_norm_scratch(device, rows, width) * sizeof(float), &scratch);
  if (status == KC_OK) status = kc_norm_backward(device, &gradient, scratch);
  return kc_leave(device, status);
}

/* ---- column sums ---- */

int kc_add_column_sums(kc_device *device, float *const *to, const float *const *from, unsigned arrays, size_t rows,
                       size_t width) {
  kc_add_sums_parameters p = {.rows = rows, .width = (unsigned)width};
  for (unsigned k = 0; k < arrays; k++) {
    p.to[k] = to[k];
    p.from[k] = from[k];
  }
  kc_grid grid = {(unsigned)kc_divide_up(width, 32), arrays, 1};
  return kc_launch(device, KC_K_kc_add_sums, grid, 1024, 0, &p, sizeof p);
}

/* At least 32 rows, a warp 4 of them; at most 128 blocks above one another. */
static size_t sum_rows(size_t rows) {
  size_t each = kc_divide_up(rows, 128);
  return each > 32 ? each : 32;
}

size_t kc_column_sums_scratch(size_t rows, size_t width) { return kc_divide_up(rows, sum_rows(rows)) * width; }

int kc_column_sums(kc_device *device, float *to, kc_array x, const int32_t *selector, int32_t selected, size_t rows,
                   size_t width, float *scratch) {
  if (rows == 0 || width == 0) return KC_OK;
  kc_column_sums_parameters p = {.sums = scratch,
                                 .x = x.data,
                                 .selector = selector,
                                 .selected = selected,
                                 .width = (unsigned)width,
                                 .rows = rows,
                                 .block_rows = sum_rows(rows),
                                 .vectors = kc_vectors(width, kc_address(x.data))};
  size_t blocks = kc_divide_up(rows, p.block_rows);
  kc_grid grid = {(unsigned)kc_divide_up(width, 256), (unsigned)blocks, 1};
  int status = kc_launch(device, KC_KERNEL_FOR(kc_column_sums, x.type), grid, 256, 0, &p, sizeof p);
  if (status != KC_OK) return status;
  const float *from = scratch;
  return kc_add_column_sums(device, &to, &from, 1, blocks, width);
}
