/* Recording calls and running them again. */
#include "host_test.h"

#include <pthread.h>

enum { COUNT = 64 * 64 };

typedef struct arrays {
  void *a, *b, *c;
} arrays;

static arrays three_arrays(kc_device *device) {
  arrays x;
  STATUS(KC_OK, NULL, device, kc_allocate(device, COUNT * 4, &x.a));
  STATUS(KC_OK, NULL, device, kc_allocate(device, COUNT * 4, &x.b));
  STATUS(KC_OK, NULL, device, kc_allocate(device, COUNT * 4, &x.c));
  return x;
}

/* b = 2 everywhere, c = a b, a's first row = 5 */
static int work(kc_device *device, arrays x) {
  kc_gemm gemm = {.c = x.c, .a = x.a, .b = x.b, .m = 64, .n = 64, .k = 64, .a_type = KC_F32, .c_type = KC_F32};
  int status = fill(device, x.b, 2, COUNT);
  if (!status) status = multiply(device, &gemm);
  if (!status) status = kc_zero(device, x.a, 64 * 4);
  if (!status) status = kc_copy(device, (float *)x.a + 64, x.c, 4);
  return status;
}

static float first(kc_device *device, const void *x, size_t i) {
  float value = -1;
  STATUS(KC_OK, NULL, device, kc_copy_out(device, &value, (const float *)x + i, 4));
  return value;
}

static void a_graph_does_the_same_as_its_calls(void) {
  kc_device *device = opened();
  arrays x = three_arrays(device);
  STATUS(KC_OK, NULL, device, work(device, x)); /* loads what is needed */
  kc_graph *graph = NULL;
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_OK, NULL, device, work(device, x));
  STATUS(KC_OK, NULL, device, kc_capture_end(device, &graph));
  CHECK(graph != NULL);
  STATUS(KC_OK, NULL, device, fill(device, x.a, 3, COUNT));
  CHECK(first(device, x.c, 0) == 0); /* the recording itself did nothing: a was 0 in the first run */
  STATUS(KC_OK, NULL, device, kc_graph_launch(device, graph));
  CHECK(first(device, x.c, 0) == 3 * 2 * 64 && first(device, x.a, 0) == 0 && first(device, x.a, 64) == 3 * 2 * 64);
  float other = 9;
  STATUS(KC_OK, NULL, device, kc_copy_in(device, x.a, &other, 4)); /* new input, the same graph */
  STATUS(KC_OK, NULL, device, kc_graph_launch(device, graph));
  CHECK(first(device, x.c, 0) == 9 * 2);
  long live = standin()->live(NULL, 0);
  kc_graph_destroy(device, graph);
  CHECK(standin()->live(NULL, 0) == live - 1);
  kc_graph_destroy(device, graph); /* not known any more */
  kc_graph_destroy(device, NULL);
  kc_graph_destroy(NULL, NULL);
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_OK, NULL, device, work(device, x));
  STATUS(KC_OK, NULL, device, kc_capture_end(device, &graph));
  kc_close(device); /* takes the graph along */
  check_clean(1);
}

static void what_waits_or_allocates_is_refused_while_recording(void) {
  kc_device *device = opened();
  arrays x = three_arrays(device);
  float host = 1;
  void *y = NULL;
  kc_graph *graph = (kc_graph *)1, *nested;
  static const char words[] = "is not possible while a graph is recorded";
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_FAILED, words, device, fill(device, x.a, 1, 4)); /* its file is not loaded yet */
  STATUS(KC_FAILED, words, device, kc_allocate(device, 10, &y));
  STATUS(KC_FAILED, words, device, kc_copy_in(device, x.a, &host, 4));
  STATUS(KC_FAILED, words, device, kc_copy_out(device, &host, x.a, 4));
  STATUS(KC_FAILED, words, device, kc_synchronize(device));
  STATUS(KC_FAILED, words, device, kc_capture_begin(device));
  STATUS(KC_OK, NULL, device, kc_enter(device));
  STATUS(KC_FAILED, words, device, kc_scratch(device, 100, &y));
  STATUS(KC_FAILED, words, device, kc_leave(device, KC_FAILED));
  kc_free(device, x.c);
  CHECK(strstr(kc_error(device), words) != NULL);
  STATUS(KC_OK, NULL, device, kc_zero(device, x.a, 4));
  STATUS(KC_FAILED, "a call failed while the graph was recorded", device, kc_capture_end(device, &graph));
  CHECK(graph == NULL);
  STATUS(KC_FAILED, "no graph is being recorded", device, kc_capture_end(device, &nested));
  STATUS(KC_OK, NULL, device, work(device, x)); /* everything works again, x.c was not freed */
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_OK, NULL, device, kc_capture_end(device, &graph)); /* nothing recorded is a graph too */
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_FAILED, words, device, kc_graph_launch(device, graph));
  kc_graph_destroy(device, graph);
  STATUS(KC_FAILED, "failed while", device, kc_capture_end(device, &nested));
  STATUS(KC_OK, NULL, device, kc_graph_launch(device, graph));
  kc_close(device);
  check_clean(1);
}

static void closing_ends_a_recording(void) {
  kc_device *device = opened();
  arrays x = three_arrays(device);
  STATUS(KC_OK, NULL, device, work(device, x));
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_OK, NULL, device, work(device, x));
  kc_close(device);
  check_clean(1);
}

static void *ends_elsewhere(void *context) {
  kc_graph *graph = (kc_graph *)1;
  kc_device *device = context;
  STATUS(KC_FAILED, "cuStreamEndCapture", device, kc_capture_end(device, &graph));
  CHECK(graph == NULL);
  return NULL;
}

/* A failed end leaves no half-open recording behind on our side. */
static void a_recording_ends_on_its_thread(void) {
  kc_device *device = opened();
  arrays x = three_arrays(device);
  STATUS(KC_OK, NULL, device, work(device, x));
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, ends_elsewhere, device) == 0 && pthread_join(thread, NULL) == 0);
  kc_graph *graph = NULL;
  STATUS(KC_OK, NULL, device, kc_capture_end(device, &graph)); /* its own thread still can */
  CHECK(graph != NULL);
  STATUS(KC_OK, NULL, device, work(device, x));
  kc_close(device);
  check_clean(1);
}

/* Scratch that a graph was recorded with keeps its content's place when scratch grows. */
static void scratch_of_a_graph_stays(void) {
  kc_device *device = opened();
  void *small = NULL, *large = NULL, *result;
  kc_graph *graph = NULL;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 4000, &result));
  STATUS(KC_OK, NULL, device, fill(device, result, 1, 1000));
  STATUS(KC_OK, NULL, device, kc_enter(device));
  STATUS(KC_OK, NULL, device, kc_scratch(device, 4000, &small));
  STATUS(KC_OK, NULL, device, kc_leave(device, KC_OK));
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  STATUS(KC_OK, NULL, device, fill(device, small, 8, 1000));
  STATUS(KC_OK, NULL, device, kc_copy(device, result, small, 4000));
  STATUS(KC_OK, NULL, device, kc_capture_end(device, &graph));
  long held = standin()->live(NULL, 0);
  STATUS(KC_OK, NULL, device, kc_enter(device));
  STATUS(KC_OK, NULL, device, kc_scratch(device, 400000, &large));
  STATUS(KC_OK, NULL, device, kc_leave(device, KC_OK));
  CHECK(large != small && standin()->live(NULL, 0) == held + 1); /* the small one is still there */
  STATUS(KC_OK, NULL, device, kc_graph_launch(device, graph));
  CHECK(first(device, result, 999) == 8);
  kc_close(device);
  check_clean(1);
}

const test_case graph_cases[] = {
    {"a graph does the same as its calls", a_graph_does_the_same_as_its_calls},
    {"what waits or allocates is refused while recording", what_waits_or_allocates_is_refused_while_recording},
    {"closing ends a recording", closing_ends_a_recording},
    {"a recording ends on its thread", a_recording_ends_on_its_thread},
    {"scratch of a graph stays", scratch_of_a_graph_stays},
    {NULL, NULL}};
