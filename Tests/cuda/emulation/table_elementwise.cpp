#define KC_SOURCE "elementwise.cu"
#define KC_LIST KC_KERNELS_elementwise
#define KC_TABLE kc_table_elementwise
#include "kernel_table.h"
