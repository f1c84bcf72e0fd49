// streams.cpp - libcuda.so.1: streams, events, recorded graphs.
#include "driver.h"

using namespace standin;

#pragma GCC visibility push(default)
extern "C" {
// ---- streams and events ---------------------------------------------------------------------------------------------

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  ENTER_CONTEXT;
  if (flags > 1) return INVALID_VALUE;
  *stream = new CUstream_st{current(), 0, 0, {}, false, false, {}, {}};
  state().streams[*stream] = true;
  created(*stream, "stream");
  return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  ENTER_CONTEXT;
  if (CUresult error = check_stream(stream, __func__)) return error;
  if (stream->capturing) violation("a stream was destroyed while it recorded");
  run_to(stream, stream->given);
  state().streams.erase(stream);
  destroyed(stream, "stream");
  delete stream;
  return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
  ENTER_CONTEXT;
  if (CUresult error = check_stream(stream, __func__)) return error;
  if (CUresult refused = stream->capturing ? refuse_recording(__func__) : CUDA_SUCCESS) return refused;
  run_to(stream, stream->given);
  check_zones(__func__);
  return current()->error;
}

CUresult cuStreamQuery(CUstream stream) {
  ENTER_CONTEXT;
  if (CUresult error = check_stream(stream, __func__)) return error;
  if (CUresult refused = stream->capturing ? refuse_recording(__func__) : CUDA_SUCCESS) return refused;
  if (stream->waiting.empty()) return CUDA_SUCCESS;
  run_one(stream);
  return current()->error ? current()->error : CUDA_ERROR_NOT_READY;
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
  ENTER_CONTEXT;
  if (flags > 7) return INVALID_VALUE;
  *event = new CUevent_st{current(), nullptr, 0};
  created(*event, "event");
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
  ENTER_CONTEXT;
  if (!is_alive(event, "event", __func__)) return INVALID_HANDLE;
  destroyed(event, "event");
  delete event;
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  ENTER_CONTEXT;
  if (!is_alive(event, "event", __func__)) return INVALID_HANDLE;
  if (stream->capturing) violation("an event was recorded while a graph was");
  event->stream = stream;
  CUresult error = enqueue(stream, __func__, [] { return CUDA_SUCCESS; });
  event->ticket = stream->given;
  return error;
}

CUresult cuEventSynchronize(CUevent event) {
  ENTER_CONTEXT;
  if (!is_alive(event, "event", __func__)) return INVALID_HANDLE;
  if (CUresult refused = refuse_recording(__func__)) return refused;
  if (event->stream) run_to(event->stream, event->ticket);
  return current()->error;
}

// ---- graphs ---------------------------------------------------------------------------------------------------------

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  ENTER_CONTEXT;
  if (CUresult error = check_stream(stream, __func__)) return error;
  if (stream->capturing || mode > 2) return INVALID_VALUE;
  stream->capturing = true;
  stream->invalidated = false;
  stream->recorder = std::this_thread::get_id();
  stream->recorded.clear();
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
  ENTER_CONTEXT;
  if (CUresult error = check_stream(stream, __func__)) return error;
  *status = !stream->capturing ? 0 : stream->invalidated ? 2 : 1;
  return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  ENTER_CONTEXT;
  *graph = nullptr;
  if (CUresult error = check_stream(stream, __func__)) return error;
  if (!stream->capturing) return CAPTURE_UNMATCHED;
  if (stream->recorder != std::this_thread::get_id()) return WRONG_THREAD;
  stream->capturing = false;
  if (stream->invalidated) return CAPTURE_INVALIDATED;
  *graph = new CUgraph_st{std::move(stream->recorded)};
  stream->recorded.clear();
  created(*graph, "graph");
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
  ENTER_CONTEXT;
  if (!is_alive(graph, "graph", __func__)) return INVALID_HANDLE;
  if (flags) return INVALID_VALUE;
  *executable = new CUgraphExec_st{current(), graph->calls};
  created(*executable, "executable graph");
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
  ENTER;
  if (!is_alive(graph, "graph", __func__)) return INVALID_HANDLE;
  destroyed(graph, "graph");
  delete graph;
  return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
  ENTER;
  if (!is_alive(executable, "executable graph", __func__)) return INVALID_HANDLE;
  destroyed(executable, "executable graph");
  delete executable;
  return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  ENTER_CONTEXT;
  if (!is_alive(executable, "executable graph", __func__)) return INVALID_HANDLE;
  for (const auto &call : executable->calls) {
    if (CUresult error = enqueue(stream, __func__, call)) return error;
  }
  return CUDA_SUCCESS;
}
}  // extern "C"
#pragma GCC visibility pop
