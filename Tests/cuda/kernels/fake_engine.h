// fake_engine.h - engine.h for the tests of the operations: device memory is host memory, kernels run in the emulation,
// a product is three loops.
#pragma once
#include <string>

extern "C" {
#include "engine.h"
}

struct kc_device {
  uint64_t seed = 0; // order of threads; 0: as they come
  int capability = 90, multiprocessors = 3;
  std::string message;
  void *scratch = nullptr;
  int entered = 0;
  unsigned launches = 0;
  ~kc_device();
};
