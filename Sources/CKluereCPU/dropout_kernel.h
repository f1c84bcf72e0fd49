/* dropout_kernel.h - masks of rows, 128 elements at a time, and dropout alone. */

/* Elements whose mask bits are made together: a multiple of 8 * KK_WIDTH for every instruction set. */
#define KK_MASK_CHUNK 128

/* The mask of one row. */
typedef struct kk_row_mask {
  uint64_t seed;
  uint32_t threshold, site, sample, position;
  float scale;
} kk_row_mask;

/* Whether elements are dropped at all. */
KK_INLINE int kk_drops(const kk_dropout *dropout) { return dropout != NULL && dropout->threshold != 0; }

/* What a kept element is multiplied by. threshold 65536 (nothing is kept) gives infinity, which no element meets. */
KK_INLINE float kk_keep_scale(uint32_t threshold) { return 65536.0f / (float)(65536u - threshold); }

KK_INLINE kk_row_mask kk_mask_of_row(const kk_dropout *dropout, size_t row) {
  return (kk_row_mask){.seed = dropout->seed,
                       .threshold = dropout->threshold,
                       .site = dropout->site,
                       .sample = dropout->sample[row],
                       .position = dropout->position[row],
                       .scale = kk_keep_scale(dropout->threshold)};
}

/* bits[KK_MASK_CHUNK]: those of columns [column, column + count) at least; column is a multiple of KK_MASK_CHUNK. */
KK_INLINE void kk_mask_bits(uint16_t *bits, const kk_row_mask *mask, size_t column, size_t count) {
  for (size_t i = 0; i < count; i += 8 * KK_WIDTH)
    kk_philox(bits + i, kk_u_add(kk_u_ramp(), kk_u_set((uint32_t)((column + i) / 8))), kk_u_set(mask->position),
              kk_u_set(mask->sample), kk_u_set(mask->site), mask->seed);
}

/* Chosen by the bits, not multiplied by 0: what is dropped is 0 even where v is not finite. */
KK_INLINE kk_vec kk_dropped(kk_vec v, const uint16_t *bits, uint32_t threshold, float scale) {
  return kk_v_keep(kk_bits_at_least(bits, threshold), kk_v_mul(v, kk_v_set(scale)));
}

/* y = dropout(x) for one row; y may be x. */
static void kk_dropout_row(float *y, const float *x, size_t width, const kk_row_mask *mask) {
  uint16_t bits[KK_MASK_CHUNK];
  for (size_t column = 0; column < width; column += KK_MASK_CHUNK) {
    size_t count = width - column < KK_MASK_CHUNK ? width - column : KK_MASK_CHUNK, i = 0;
    kk_mask_bits(bits, mask, column, count);
    const float *from = x + column;
    float *to = y + column;
    for (; i + KK_WIDTH <= count; i += KK_WIDTH)
      kk_v_store(to + i, kk_dropped(kk_v_load(from + i), bits + i, mask->threshold, mask->scale));
    if (i < count) {
      kk_vec v = kk_v_load_part(from + i, count - i);
      kk_v_store_part(to + i, kk_dropped(v, bits + i, mask->threshold, mask->scale), count - i);
    }
  }
}

static void kk_dropout_piece(float *y, const float *x, kk_rows rows, const kk_dropout *dropout) {
  for (size_t row = rows.begin; row < rows.end; row++) {
    const float *from = x + row * rows.width;
    float *to = y + row * rows.width;
    if (kk_drops(dropout)) {
      kk_row_mask mask = kk_mask_of_row(dropout, row);
      kk_dropout_row(to, from, rows.width, &mask);
    } else if (to != from) {
      memcpy(to, from, rows.width * sizeof(float));
    }
  }
}
