/* pieces.h - cutting an operation into pieces. Sizes come from the shapes alone, never from the number of threads; work
 * too small to be worth another thread runs on the caller's, piece after piece. */
#ifndef KLUERE_PIECES_H
#define KLUERE_PIECES_H
#include "elementwise.h"
#include "engine_internal.h"

/* Elements of a piece of cheap arithmetic: some 2 to 5 microseconds. */
#define KK_PIECE 4096

static inline size_t kk_pieces(size_t count, size_t piece) { return count / piece + (count % piece != 0); }

/* Rows of a piece, at least one. */
static inline size_t kk_piece_rows(size_t width) { return width >= KK_PIECE ? 1 : KK_PIECE / (width ? width : 1); }

/* The range of piece `item` of `count` things. */
static inline kk_rows kk_piece_range(size_t item, size_t piece, size_t count, size_t width) {
  size_t begin = item * piece;
  return (kk_rows){begin, count - begin < piece ? count : begin + piece, width};
}

typedef struct kk_region {
  void (*body)(void *context, size_t item);
  void *context;
} kk_region;
static inline void kk_region_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_region *region = context;
  region->body(region->context, item);
}
/* Calls body for every piece. elements and nanoseconds of one: an estimate for one thread with vectors. */
static inline void kk_run(kk_engine *engine, size_t pieces, size_t elements, double nanoseconds,
                          void (*body)(void *context, size_t item), void *context) {
  kk_region region = {body, context};
  kk_parallel_estimated(engine, pieces, (double)elements * nanoseconds * 1e-3, kk_region_item, &region);
}
#endif
