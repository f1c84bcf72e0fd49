#define KC_SOURCE "embedding.cu"
#define KC_LIST KC_KERNELS_embedding
#define KC_TABLE kc_table_embedding
#include "kernel_table.h"
