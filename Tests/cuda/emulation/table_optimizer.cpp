#define KC_SOURCE "optimizer.cu"
#define KC_LIST KC_KERNELS_optimizer
#define KC_TABLE kc_table_optimizer
#include "kernel_table.h"
