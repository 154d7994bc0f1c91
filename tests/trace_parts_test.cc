// Traces of several processes and GPUs: one of each is imported, or a refusal says what to choose.
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "imports/importers.h"
#include "tests/error_of.h"
#include "traces/byte_stream.h"

namespace shardlab {
namespace {

Duration us(std::int64_t count) { return Duration{count * 1000}; }

std::string event(const std::string& cat, const std::string& name, int pid, int ts, int dur,
                  const std::string& args = "") {
  return fmt::format(
      R"({{"ph":"X","cat":"{}","name":"{}","pid":{},"tid":{},"ts":{},"dur":{},"args":{{{}}}}},)",
      cat, name, pid, pid, ts, dur, args);
}

/// Two minibatches of one layer, whose kernel takes `us`, each launched by `pid` on `gpu`.
/// Correlations count from 1 in every process, as CUPTI's do.
std::string rank(int pid, int gpu, int us, int shift) {
  std::string text;
  for (int s = 0; s < 2; ++s) {
    const int t = shift + 1000 * s;
    const std::string args = fmt::format("\"device\":{},\"correlation\":{}", gpu, s + 1);
    text += event("user_annotation", fmt::format("ProfilerStep#{}", s), pid, t, 900) +
            event("user_annotation", "block", pid, t + 10, 500) +
            event("cuda_runtime", "cudaLaunchKernel", pid, t + 20, 5, args) +
            event("kernel", "ampere_sgemm_128x64_nn", gpu, t + 30, us, args);
  }
  return text;
}

Imported import(const std::string& events, const std::string& process = "",
                const std::string& gpu = "") {
  ImportOptions options;
  options.batch = 8;
  options.process = process;
  options.gpu = gpu;
  const std::string text =
      R"({"deviceProperties":[{"id":0,"name":"Big"},{"id":1,"name":"Small"}],"traceEvents":[)" +
      events + R"({"ph":"M"}]})";
  return import_kineto(*text_stream(text), "t", options);
}

/// As GPUs of a cluster are recorded: the second rank began its minibatches half of one later.
std::string two_ranks() { return rank(7, 0, 100, 0) + rank(9, 1, 300, 450); }

TEST(TraceParts, SeveralRanksInOneTraceAreRefusedByName) {
  EXPECT_EQ(error_of([&] { import(two_ranks()); }),
            "it is of several processes, 7 (2 launches, 4 ranges), 9 (2 launches, 4 ranges): "
            "choose one with --process 7, and its GPU with --gpu");
  EXPECT_EQ(error_of([&] { import(two_ranks(), "9"); }),
            "it is of several GPUs, 0 (2 kernels), 1 (2 kernels): choose one with --gpu 0, or take "
            "a model that is spread over them as one device with --gpu all");
}

TEST(TraceParts, TheRankThatIsChosenHasItsOwnMinibatchesAndKernels) {
  const Imported first = import(two_ranks(), "7", "0"), second = import(two_ranks(), "9", "1");
  for (const auto& [found, time, device] :
       {std::tuple(&first, us(100), "Big"), std::tuple(&second, us(300), "Small")}) {
    ASSERT_EQ(found->model.layers.size(), 1U);
    EXPECT_EQ(found->model.layers[0].alone.forward.median, time);
    EXPECT_EQ(found->model.layers[0].alone.forward.samples, 2);
    EXPECT_EQ(found->device, device);
    EXPECT_EQ(found->notes.at(0), "2 minibatches by their ranges");
    EXPECT_EQ(found->device_time.value().all, 2 * time);
    EXPECT_EQ(found->device_time.value().layers, 2 * time);
  }
}

TEST(TraceParts, ProcessesThatShareAGpuAreNotMistakenForEachOther) {
  const std::string shared = rank(7, 0, 100, 0) + rank(9, 0, 300, 450);
  EXPECT_EQ(error_of([&] { import(shared, "9"); }),
            "nothing that ran on the device was launched in a range of a layer; could not use 4 "
            "kernels and copies on the device: launches of several processes have their number, on "
            "one GPU; they took 0.800 ms; could not use 1 layers: nothing ran on the device for "
            "them");
}

TEST(TraceParts, ALoneProcessOnTwoGpusIsOneDeviceWhereThatIsSaid) {
  const std::string both =
      rank(7, 0, 100, 0) +
      event("cuda_runtime", "cudaLaunchKernel", 7, 25, 5, "\"correlation\":5") +
      event("kernel", "k", 1, 30, 50, "\"device\":1,\"correlation\":5");
  EXPECT_TRUE(
      error_of([&] { import(both); }).starts_with("it is of several GPUs, 0 (2 kernels), 1 (1 "));
  EXPECT_EQ(import(both, "", "0").device_time.value().all, us(200));
  EXPECT_EQ(import(both, "", "1").device_time.value().all, us(50));
  EXPECT_EQ(error_of([&] { import(both, "", "all"); }),
            "its GPUs are unlike, Big and Small: choose one with --gpu");
}

TEST(TraceParts, WhatIsChosenMustBeThere) {
  EXPECT_EQ(error_of([&] { import(two_ranks(), "8", "0"); }),
            "--process 8: there is none; there are 7, 9");
  EXPECT_EQ(error_of([&] { import(two_ranks(), "7", "2"); }),
            "--gpu 2: no kernel of it; there are GPUs 0 (2 kernels), 1 (2 kernels)");
  for (const char* wrong : {"first", "-1", "1x"}) {
    EXPECT_EQ(error_of([&] { import(two_ranks(), "", wrong); }),
              fmt::format("--gpu {}: must be a number or all", wrong));
  }
}

}  // namespace
}  // namespace shardlab
