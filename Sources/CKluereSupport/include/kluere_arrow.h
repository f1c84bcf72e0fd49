/* The Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html): its two structs, and tables of
 * columns handed out through them. */
#ifndef KLUERE_ARROW_H
#define KLUERE_ARROW_H
#include <stddef.h>
#include <stdint.h>

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

/* name and format outlive everything. Buffers: the validity bitmap or NULL, then what the format has. */
typedef struct ks_arrow_column {
  const char *name;
  const char *format;
  int64_t null_count;
  const void *buffers[3];
  int64_t buffer_count;
} ks_arrow_column;

/* Fills both structs with a table of `rows` rows. The buffers belong to `owner`, which is retained once for each column and
 * released when that column is. 0, or ENOMEM with nothing written and nothing owed. */
int ks_arrow_export(struct ArrowSchema *schema, struct ArrowArray *array, const ks_arrow_column *columns, size_t count,
                    int64_t rows, void *owner, void (*retain)(void *owner), void (*release)(void *owner));

#endif
