#include "kluere_arrow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NULLABLE = 2 }; /* ARROW_FLAG_NULLABLE */

/* What a column's array owns: its list of buffers, and a share of what the buffers lie in. */
struct column_owner {
  const void *buffers[3];
  void *owner;
  void (*release)(void *owner);
};

static void release_column(struct ArrowArray *array) {
  struct column_owner *owner = array->private_data;
  owner->release(owner->owner);
  free(owner);
  array->release = NULL;
}

/* A consumer may have moved children out: those have no release any more. */
static void release_table(struct ArrowArray *array) {
  for (int64_t i = 0; i < array->n_children; i++) {
    struct ArrowArray *child = array->children[i];
    if (child && child->release) child->release(child);
    free(child);
  }
  free(array->children);
  free((void *)array->buffers);
  array->release = NULL;
}

static void release_leaf_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static void release_schema(struct ArrowSchema *schema) {
  for (int64_t i = 0; i < schema->n_children; i++) {
    struct ArrowSchema *child = schema->children[i];
    if (child && child->release) child->release(child);
    free(child);
  }
  free(schema->children);
  schema->release = NULL;
}

static int fill_schema(struct ArrowSchema *schema, const ks_arrow_column *columns, size_t count) {
  memset(schema, 0, sizeof *schema);
  schema->format = "+s";
  schema->name = "";
  schema->children = calloc(count ? count : 1, sizeof *schema->children);
  if (!schema->children) return ENOMEM;
  schema->n_children = (int64_t)count;
  schema->release = release_schema;
  for (size_t i = 0; i < count; i++) {
    struct ArrowSchema *child = calloc(1, sizeof *child);
    schema->children[i] = child;
    if (!child) return ENOMEM;
    child->format = columns[i].format;
    child->name = columns[i].name;
    child->flags = NULLABLE;
    child->release = release_leaf_schema;
  }
  return 0;
}

static int fill_column(struct ArrowArray *array, const ks_arrow_column *column, int64_t rows, void *owner,
                       void (*retain)(void *), void (*release)(void *)) {
  struct column_owner *share = calloc(1, sizeof *share);
  if (!share) return ENOMEM;
  memcpy(share->buffers, column->buffers, sizeof share->buffers);
  share->owner = owner;
  share->release = release;
  retain(owner);
  array->length = rows;
  array->null_count = column->null_count;
  array->n_buffers = column->buffer_count;
  array->buffers = share->buffers;
  array->release = release_column;
  array->private_data = share;
  return 0;
}

static int fill_array(struct ArrowArray *array, const ks_arrow_column *columns, size_t count, int64_t rows, void *owner,
                      void (*retain)(void *), void (*release)(void *)) {
  memset(array, 0, sizeof *array);
  array->release = release_table;
  array->length = rows;
  array->n_buffers = 1;
  array->buffers = calloc(1, sizeof *array->buffers); /* no row of the table itself is null */
  array->children = calloc(count ? count : 1, sizeof *array->children);
  if (!array->buffers || !array->children) return ENOMEM;
  array->n_children = (int64_t)count;
  for (size_t i = 0; i < count; i++) {
    array->children[i] = calloc(1, sizeof *array->children[i]);
    if (!array->children[i]) return ENOMEM;
    int status = fill_column(array->children[i], &columns[i], rows, owner, retain, release);
    if (status) return status;
  }
  return 0;
}

int ks_arrow_export(struct ArrowSchema *schema, struct ArrowArray *array, const ks_arrow_column *columns, size_t count,
                    int64_t rows, void *owner, void (*retain)(void *owner), void (*release)(void *owner)) {
  struct ArrowSchema made_schema;
  struct ArrowArray made_array;
  int status = fill_schema(&made_schema, columns, count);
  if (status) {
    release_schema(&made_schema);
    return status;
  }
  status = fill_array(&made_array, columns, count, rows, owner, retain, release);
  if (status) {
    release_schema(&made_schema);
    release_table(&made_array);
    return status;
  }
  *schema = made_schema;
  *array = made_array;
  return 0;
}
