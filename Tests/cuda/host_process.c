/* A guest in its process: other users of CUDA, forks, threads, two devices. */
#include "host_test.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static CUcontext current(void) {
  CUcontext context = NULL;
  CHECK(standin()->current(&context) == CUDA_SUCCESS);
  return context;
}

static void some_calls(kc_device *device) {
  void *x;
  float value = 0;
  uint64_t bytes;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 400, &x));
  STATUS(KC_OK, NULL, device, fill(device, x, 6, 100));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, &value, x, 4));
  CHECK(value == 6);
  STATUS(KC_OK, NULL, device, kc_memory_free(device, &bytes));
  standin()->fail("cuMemsetD8Async", 1, 999);
  STATUS(KC_FAILED, "cuMemsetD8Async: unknown error (CUDA_ERROR_UNKNOWN, 999)", device, kc_zero(device, x, 4));
  kc_free(device, x);
}

static void the_current_context_is_left_alone(void) {
  kc_device *first = opened(), *second, *none;
  CHECK(current() == NULL);
  some_calls(first);
  CHECK(current() == NULL);
  CUcontext other = NULL, popped;
  CHECK(standin()->retain(&other, 1) == CUDA_SUCCESS && standin()->push(other) == CUDA_SUCCESS);
  some_calls(first);
  CHECK(current() == other);
  char message[KC_MESSAGE];
  CHECK(kc_open(1, standin_folder, scratch("cache"), &second, message, sizeof message) == KC_OK);
  CHECK(kc_open(7, standin_folder, scratch("cache"), &none, message, sizeof message) == KC_UNSUPPORTED);
  CHECK(current() == other);
  kc_close(second);
  kc_close(first);
  CHECK(current() == other);
  CHECK(standin()->pop(&popped) == CUDA_SUCCESS && popped == other);
  check_clean(0);
}

/* What other parts of the process hold of the primary context is not taken from them. */
static void the_primary_context_is_shared(void) {
  CUcontext ours = NULL;
  kc_device *device = opened();
  CHECK(standin()->retain(&ours, 0) == CUDA_SUCCESS && ours == device->context);
  kc_close(device);
  CHECK(standin()->live(NULL, 0) == 1);
  CHECK(standin()->push(ours) == CUDA_SUCCESS && standin()->pop(&ours) == CUDA_SUCCESS);
  CHECK(standin()->release(0) == CUDA_SUCCESS);
  check_clean(1);
}

static void two_devices_have_nothing_in_common(void) {
  kc_device *devices[2] = {opened(), NULL};
  char message[KC_MESSAGE];
  CHECK(kc_open(1, standin_folder, scratch("cache"), &devices[1], message, sizeof message) == KC_OK);
  void *x[2];
  for (int i = 0; i < 2; i++) {
    STATUS(KC_OK, NULL, devices[i], kc_allocate(devices[i], 4000, &x[i]));
    STATUS(KC_OK, NULL, devices[i], fill(devices[i], x[i], (float)(i + 1), 1000));
  }
  standin()->set("sticky_after", 1);
  STATUS(KC_OK, NULL, devices[0], fill(devices[0], x[0], 3, 1000));
  STATUS(KC_LOST, "an illegal memory access was encountered", devices[0], kc_synchronize(devices[0]));
  float value = 0;
  STATUS(KC_OK, NULL, devices[1], kc_copy_out(devices[1], &value, x[1], 4));
  CHECK(value == 2);
  STATUS(KC_LOST, "restart the process", devices[0], kc_zero(devices[0], x[0], 4));
  kc_close(devices[0]);
  kc_close(devices[1]);
  check_clean(0);
}

/* One handle twice on one device: they share the context and nothing else. */
static void the_same_device_twice(void) {
  kc_device *one = opened(), *two = opened();
  void *x, *y;
  STATUS(KC_OK, NULL, one, kc_allocate(one, 400, &x));
  STATUS(KC_OK, NULL, two, kc_allocate(two, 400, &y));
  STATUS(KC_OK, NULL, one, fill(one, x, 1, 100));
  kc_close(one);
  STATUS(KC_OK, NULL, two, fill(two, y, 1, 100));
  kc_close(two);
  check_clean(1);
}

static void a_forked_child_is_told(void) {
  kc_device *device = opened();
  void *x;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 400, &x));
  STATUS(KC_OK, NULL, device, fill(device, x, 1, 100));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    kc_device *another;
    char message[KC_MESSAGE];
    void *y = NULL;
    long calls = standin()->calls("cuCtxPushCurrent_v2");
    STATUS(KC_FORKED, "forked after the CUDA device was opened", device, kc_allocate(device, 10, &y));
    STATUS(KC_FORKED, "forked", device, kc_synchronize(device));
    kc_free(device, x);
    int status = kc_open(0, standin_folder, NULL, &another, message, sizeof message);
    check_status(__FILE__, __LINE__, "kc_open in the child", KC_FORKED, "forked after CUDA was used", status, message);
    setenv("KLUERE_CUDA_LIBRARIES", standin_folder, 1);
    CHECK(kc_count(message, sizeof message) == 0 && strstr(message, "forked") != NULL);
    kc_close(device);
    CHECK(standin()->calls("cuCtxPushCurrent_v2") == calls); /* the driver was not touched */
    char text[1000];
    _exit(standin()->violations(text, sizeof text) || strstr(text, "rule") ? 1 : 0);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  STATUS(KC_OK, NULL, device, fill(device, x, 2, 100)); /* the parent goes on */
  kc_close(device);
  check_clean(1);
}

/* The driver itself was used before the fork, by another library. */
static void a_driver_used_before_the_fork_is_told(void) {
  standin();
  standin()->fail("cuInit", 1, CUDA_ERROR_NOT_INITIALIZED);
  kc_device *device;
  char message[KC_MESSAGE];
  int status = kc_open(0, standin_folder, NULL, &device, message, sizeof message);
  check_status(__FILE__, __LINE__, "kc_open", KC_FORKED, "before the process was forked", status, message);
  check_clean(1);
}

static void *uses(void *context) {
  kc_device *device = context;
  for (int i = 0; i < 50; i++) some_calls(device);
  CHECK(current() == NULL);
  return NULL;
}

/* Threads take turns with one device, and each has its own at the same time. */
static void any_thread_may_call(void) {
  kc_device *device = opened();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    CHECK(pthread_create(&threads[i], NULL, uses, device) == 0 && pthread_join(threads[i], NULL) == 0);
  }
  kc_close(device);
  check_clean(1);
}

static void *opens_and_uses(void *context) {
  (void)context;
  for (int i = 0; i < 10; i++) {
    kc_device *device = opened();
    void *x;
    float value = 0;
    STATUS(KC_OK, NULL, device, kc_allocate(device, 400, &x));
    STATUS(KC_OK, NULL, device, fill(device, x, 6, 100));
    STATUS(KC_OK, NULL, device, kc_copy_out(device, &value, x, 4));
    CHECK(value == 6);
    kc_close(device);
  }
  return NULL;
}

static void threads_have_their_own_devices(void) {
  pthread_t threads[4];
  kc_close(opened());
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, opens_and_uses, NULL) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  check_clean(1);
}

const test_case process_cases[] = {{"the current context is left alone", the_current_context_is_left_alone},
                                   {"the primary context is shared", the_primary_context_is_shared},
                                   {"two devices have nothing in common", two_devices_have_nothing_in_common},
                                   {"the same device twice", the_same_device_twice},
                                   {"a forked child is told", a_forked_child_is_told},
                                   {"a driver used before the fork", a_driver_used_before_the_fork_is_told},
                                   {"any thread may call", any_thread_may_call},
                                   {"threads have their own devices", threads_have_their_own_devices},
                                   {NULL, NULL}};
