#include "kluere_support.h"

_Static_assert(__atomic_always_lock_free(sizeof(int64_t), 0), "a flag is set from signal handlers");

void ks_flag_set(ks_flag *flag, int64_t value) { __atomic_store_n(&flag->value, value, __ATOMIC_SEQ_CST); }

int64_t ks_flag_get(const ks_flag *flag) { return __atomic_load_n(&flag->value, __ATOMIC_SEQ_CST); }

int64_t ks_flag_take(ks_flag *flag) { return __atomic_exchange_n(&flag->value, 0, __ATOMIC_SEQ_CST); }
