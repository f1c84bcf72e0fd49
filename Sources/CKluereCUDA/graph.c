/* graph.c - recorded sequences of calls: the stream records, then one launch replays all of it. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

struct kc_graph {
  CUgraphExec executable;
  kc_graph *next;
};

int kc_capture_begin(kc_device *device) {
  int status = kc_enter(device);
  if (status) return status;
  status = kc_refuse_capture(device, "another recording");
  if (status) return kc_leave(device, status);
  /* Thread-local: what other threads of the process do meanwhile is no business of this recording. */
  status = kc_check(device, device->cu.cuStreamBeginCapture_v2(device->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                    "cuStreamBeginCapture");
  int began = status == KC_OK;
  status = kc_leave(device, status);
  if (status == KC_OK) {
    device->capturing = 1;
    device->capture_failed = 0;
  } else if (began) {
    CUgraph nothing = NULL; /* the caller is told that nothing is recorded, so nothing is */
    if (device->cu.cuStreamEndCapture(device->stream, &nothing) == CUDA_SUCCESS) device->cu.cuGraphDestroy(nothing);
  }
  return status;
}

/* The stream's recording; NULL if there is none. The end is refused on another thread than the beginning's: then it
 * goes on. */
static int end_recording(kc_device *device, CUgraph *recorded) {
  CUstreamCaptureStatus state = CU_STREAM_CAPTURE_STATUS_NONE;
  CUresult result = device->cu.cuStreamEndCapture(device->stream, recorded);
  if (result != CUDA_SUCCESS) *recorded = NULL;
  device->capturing = result != CUDA_SUCCESS &&
                      device->cu.cuStreamIsCapturing(device->stream, &state) == CUDA_SUCCESS &&
                      state != CU_STREAM_CAPTURE_STATUS_NONE;
  int failed = device->capture_failed, status = kc_check(device, result, "cuStreamEndCapture");
  device->capture_failed = failed; /* that it could not be ended here is no fault of what is recorded */
  return status;
}

static int end_capture(kc_device *device, kc_graph **out) {
  if (!device->capturing) return kc_fail(device, KC_FAILED, "no graph is being recorded");
  CUgraph recorded = NULL;
  int failed = device->capture_failed;
  int status = end_recording(device, &recorded);
  if (failed && status != KC_LOST) status = kc_fail(device, KC_FAILED, "a call failed while the graph was recorded");
  kc_graph *graph = status ? NULL : calloc(1, sizeof *graph);
  if (!status && !graph) status = kc_fail(device, KC_OUT_OF_MEMORY, "no memory for a graph");
  if (!status) {
    status = kc_check(device, device->cu.cuGraphInstantiateWithFlags(&graph->executable, recorded, 0),
                      "cuGraphInstantiate");
  }
  if (recorded && status != KC_LOST) device->cu.cuGraphDestroy(recorded);
  if (status) {
    free(graph);
    return status;
  }
  graph->next = device->graphs;
  device->graphs = graph;
  *out = graph;
  return KC_OK;
}

/* May be called again after a failure to reach the device or on another thread: the recording goes on until it ends. */
int kc_capture_end(kc_device *device, kc_graph **out) {
  *out = NULL;
  int status = kc_enter(device);
  return status ? status : kc_leave(device, end_capture(device, out));
}

int kc_graph_launch(kc_device *device, kc_graph *graph) {
  int status = kc_enter(device);
  if (status) return status;
  status = kc_refuse_capture(device, "launching a graph");
  if (!status) {
    status = kc_check(device, device->cu.cuGraphLaunch(graph->executable, device->stream), "cuGraphLaunch");
  }
  return kc_leave(device, status);
}

static void destroy(kc_device *device, kc_graph *graph) {
  if (!device->lost) device->cu.cuGraphExecDestroy(graph->executable);
  free(graph);
}

void kc_graph_destroy(kc_device *device, kc_graph *graph) {
  if (!device || !graph) return;
  kc_graph **link = &device->graphs;
  while (*link && *link != graph) link = &(*link)->next;
  if (!*link) return;
  char before[KC_MESSAGE];
  memcpy(before, device->error, sizeof before);
  /* A device that cannot be entered keeps it; closing frees the host's part. */
  if (kc_enter(device) != KC_OK) return;
  int status = kc_refuse_capture(device, "destroying a graph");
  if (!status) {
    *link = graph->next;
    device->cu.cuStreamSynchronize(device->stream); /* it may be running */
    destroy(device, graph);
  }
  if (kc_leave(device, status) == KC_OK) memcpy(device->error, before, sizeof before); /* as kc_free */
}

void kc_graphs_close(kc_device *device) {
  for (kc_graph *graph = device->graphs, *next; graph; graph = next) {
    next = graph->next;
    destroy(device, graph);
  }
  device->graphs = NULL;
}
