#define KC_SOURCE "selftest.cu"
#define KC_LIST KC_KERNELS_selftest
#define KC_TABLE kc_table_selftest
#include "kernel_table.h"
