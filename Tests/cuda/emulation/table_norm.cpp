#define KC_SOURCE "norm.cu"
#define KC_LIST KC_KERNELS_norm
#define KC_TABLE kc_table_norm
#include "kernel_table.h"
