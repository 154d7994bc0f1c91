#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <zlib.h>

#include "imports/importers.h"

namespace shardlab {
namespace {

/// One minibatch of a trace as PyTorch's profiler writes it: 40 layers of 25 events, of about 300
/// bytes each as in the traces of others.
std::string minibatch(int step) {
  const std::string kernel_name(180, 'k');
  const int begin = 40'000 * step;
  std::string text = fmt::format(
      R"({{"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#{}", "pid": 9, "tid": 9, )"
      R"("ts": {}, "dur": 40000, "args": {{"External id": 1, "Ev Idx": 0}}}})",
      step, begin);
  for (int layer = 0; layer < 40; ++layer) {
    const int at = begin + 1000 * layer;
    text += fmt::format(
        ",\n  {{\"ph\": \"X\", \"cat\": \"user_annotation\", \"name\": \"layer {}\", \"pid\": 9, "
        "\"tid\": 9, \"ts\": {}.125, \"dur\": 990.5, \"args\": {{\"External id\": 1}}}}",
        layer, at);
    for (int i = 0; i < 6; ++i) {
      const int id = 1000 * step + 10 * layer + i;
      const int ts = at + 100 * i + 10;
      text += fmt::format(
          ",\n  {{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::addmm\", \"pid\": 9, "
          "\"tid\": "
          "9,\n    \"ts\": {}.250, \"dur\": 88.125,\n    \"args\": {{\"External id\": {}, \"Record "
          "function id\": 0, \"Sequence number\": {}, \"Fwd thread id\": 0, \"Input Dims\": "
          "[[4096], "
          "[8, 4096], [4096, 4096], [], []], \"Input type\": [\"float\", \"float\", \"float\", "
          "\"Scalar\", \"Scalar\"], \"Ev Idx\": {}}}}}",
          ts, id, id, id);
      text += fmt::format(
          ",\n  {{\"ph\": \"X\", \"cat\": \"cuda_runtime\", \"name\": \"cudaLaunchKernel\", "
          "\"pid\": 9, "
          "\"tid\": 9,\n    \"ts\": {}.500, \"dur\": 4.250,\n    \"args\": {{\"External id\": {}, "
          "\"cbid\": 211, \"correlation\": {}}}}}",
          ts + 5, id, id);
      text += fmt::format(
          ",\n  {{\"ph\": \"s\", \"id\": {}, \"pid\": 9, \"tid\": 9, \"ts\": {}.500,\n    \"cat\": "
          "\"ac2g\", \"name\": \"ac2g\"}}",
          id, ts + 5);
      text += fmt::format(
          ",\n  {{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"{}\", \"pid\": 0, \"tid\": 7,\n  "
          "  "
          "\"ts\": {}.750, \"dur\": 60.125,\n    \"args\": {{\"External id\": {}, \"queued\": 0, "
          "\"device\": 0, \"context\": 1, \"stream\": 7, \"correlation\": {}, \"registers per "
          "thread\": 90, \"shared memory\": 49152, \"blocks per SM\": 0.592, \"warps per SM\": "
          "2.37, "
          "\"grid\": [64, 1, 1], \"block\": [128, 1, 1], \"est. achieved occupancy %\": 4}}}}",
          kernel_name, ts + 20, id, id);
    }
  }
  return text;
}

constexpr int kEventsPerMinibatch = 1 + 40 * 25;

/// A trace of that many minibatches, written once: for summary.py, which reads it too.
std::string trace_file(int minibatches, bool packed) {
  const auto folder = std::filesystem::exists("bench-out") ? std::filesystem::path("bench-out")
                                                           : std::filesystem::temp_directory_path();
  const std::string path =
      (folder / fmt::format("trace-{}.json{}", minibatches, packed ? ".gz" : "")).string();
  if (std::filesystem::exists(path)) return path;
  const gzFile file = gzopen(path.c_str(), packed ? "wb6" : "wbT");  // T: not compressed.
  const auto write = [&](const std::string& text) {
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  };
  write("{\n \"schemaVersion\": 1,\n \"traceEvents\": [\n  ");
  for (int step = 0; step < minibatches; ++step) write((step > 0 ? ",\n  " : "") + minibatch(step));
  write("\n ]\n}\n");
  gzclose(file);
  return path;
}

/// Events per second of the whole import of a trace; the peak is that of the process until then.
void import_trace(benchmark::State& state) {
  const auto minibatches = static_cast<int>(state.range(0));
  const std::string path = trace_file(minibatches, state.range(1) != 0);
  ImportOptions options;
  options.batch = 1;
  for (auto unused : state) benchmark::DoNotOptimize(import_kineto(path, options));
  state.SetItemsProcessed(state.iterations() * minibatches * kEventsPerMinibatch);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_bytes"] = static_cast<double>(usage.ru_maxrss) * 1024;
  state.SetLabel(path);
}
BENCHMARK(import_trace)
    ->Args({100, 0})
    ->Args({1000, 0})
    ->Args({1000, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shardlab

BENCHMARK_MAIN();
