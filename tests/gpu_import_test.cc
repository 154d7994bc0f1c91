#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "imports/importers.h"
#include "imports/range_rules.h"
#include "tests/error_of.h"
#include "tests/measured_data.h"
#include "tests/sample_data.h"
#include "traces/atomic_file.h"
#include "traces/byte_stream.h"

namespace shardlab {
namespace {

ImportOptions options() {
  ImportOptions result;
  result.batch = 8;
  return result;
}

std::string fixture(const std::string& name) {
  return source_file("tests/fixtures/imports/" + name);
}

std::vector<std::string> unused_of(const Imported& imported) {
  std::vector<std::string> all;
  for (const auto& [count, what, why] : imported.unused) {
    all.push_back(std::to_string(count) + " " + what + ": " + why);
  }
  return all;
}

bool says(const Imported& imported, const std::string& line) {
  const auto all = unused_of(imported);
  return std::find(all.begin(), all.end(), line) != all.end();
}

Duration us(std::int64_t count) { return Duration{count * 1000}; }

/// Of tests/fixtures/imports/kineto-*.json: two layers, two equal minibatches.
void expect_example(const Imported& found) {
  ASSERT_EQ(found.model.layers.size(), 2U);
  const LayerCost& embed = found.model.layers[0];
  const LayerCost& head = found.model.layers[1];
  EXPECT_EQ(embed.name, "embed");
  EXPECT_EQ(head.name, "head");
  // Kernels from 50 to 70 and from 80 to 90: 30 of work, 10 between.
  EXPECT_EQ(embed.alone.forward.median, us(40));
  EXPECT_EQ(embed.alone.forward.busy, us(30));
  EXPECT_EQ(embed.alone.forward.samples, 2);
  EXPECT_EQ(head.alone.forward.median, us(40));
  EXPECT_EQ(head.loaded.backward.median, us(60));
  EXPECT_EQ(embed.alone.backward.median, us(80));  // 420 to 490 and 480 to 500, once.
  EXPECT_FALSE(embed.missing.has(CostField::kBackward));
  EXPECT_TRUE(embed.missing.has(CostField::kParameters));
  EXPECT_TRUE(embed.missing.has(CostField::kStep));
  ASSERT_TRUE(found.whole_step);
  EXPECT_EQ(found.whole_step->median, us(50));
  // Both minibatches: 10 of work without, and 10 with a copy beside it all the while.
  const DeviceWork& forward = embed.recorded.at(Phase::kForward);
  EXPECT_EQ(forward, (DeviceWork{2, 4, us(60), us(10)}));
  ASSERT_TRUE(found.model.unattributed && found.model.whole_step);
  const CopyClass up{CopyDirection::kHostToDevice, true}, down{CopyDirection::kDeviceToHost};
  EXPECT_EQ(found.model.unattributed->copies,
            (std::map<CopyClass, CopyTotals>{{up, {2, 65536 + 1048576, us(110)}},
                                             {down, {2, 8, us(6)}}}));
  EXPECT_EQ(found.model.unattributed->minibatches, 2);
  EXPECT_EQ(found.model.unattributed->busy, us(10));
  EXPECT_EQ(found.model.whole_step->busy, us(100));
  EXPECT_EQ(found.model.optimizer, OptimizerKind::kSgd);
  EXPECT_TRUE(std::ranges::count(found.notes, "optimizer: SGD in the trace, taken as sgd") == 1);
  // 65536 bytes in 10 us, 1048576 in 100: 4 us and 10.9 GB/s.
  EXPECT_FALSE(found.host.missing.has(CostField::kCopy));
  EXPECT_NEAR(static_cast<double>(found.host.copy.latency.count()), 4000, 1);
  EXPECT_NEAR(found.host.copy.bytes_per_second, 983040 / 90e-6, 1e5);
  EXPECT_TRUE(found.host.missing.has(CostField::kCopyBack));
  EXPECT_TRUE(found.host.missing.has(CostField::kDispatch));
  EXPECT_EQ(found.device, "Example GPU 24 GB");
  EXPECT_TRUE(says(found,
                   "2 kernels and copies on the device: they were launched in no range of a "
                   "layer; they took 0.010 ms"));
  EXPECT_TRUE(says(found,
                   "2 copies of pageable memory: a latency and a rate take copies of two "
                   "sizes"));
}

TEST(KinetoImport, AttributesKernelsToLayersInAllDialects) {
  expect_example(import_kineto(fixture("kineto-integers.json"), options()));
  expect_example(import_kineto(fixture("kineto-fractions.json"), options()));
  ImportOptions ruled = options();
  ruled.layer_rule = "^(embed|head)$";  // The old dialect has no annotations, only operators.
  expect_example(import_kineto(fixture("kineto-old.json"), ruled));
}

TEST(KinetoImport, ARuleMakesLayersOfOperatorsAndNumbersEqualNames) {
  ImportOptions ruled = options();
  ruled.layer_rule = "^aten::(\\w+)$";
  const Imported found = import_kineto(fixture("kineto-integers.json"), ruled);
  ASSERT_EQ(found.model.layers.size(), 2U);
  EXPECT_EQ(found.model.layers[0].name, "linear #0");
  EXPECT_EQ(found.model.layers[1].name, "linear #1");
  EXPECT_EQ(found.model.layers[1].alone.backward.median, us(60));
}

TEST(KinetoImport, RefusesRulesThatMatchNothing) {
  ImportOptions steps = options(), layers = options();
  steps.step_rule = layers.layer_rule = "^no such$";
  const std::string path = fixture("kineto-integers.json");
  EXPECT_EQ(error_of([&] { import_kineto(path, steps); }),
            path + ": --step-rule '^no such$': matches no annotation in it");
  EXPECT_EQ(error_of([&] { import_kineto(path, layers); }),
            path + ": --layer-rule '^no such$': matches no range in it");
}

TEST(KinetoImport, WithoutStepsMinibatchesEndWithTheOptimizer) {
  std::string text = read_whole_file(fixture("kineto-integers.json"));
  for (std::size_t at = 0; (at = text.find("ProfilerStep#", at)) != std::string::npos;) {
    text.replace(at, 13, "nccl:another ");  // No layer either.
  }
  const auto stream = text_stream(text);
  const Imported found = import_kineto(*stream, "kineto-integers", options());
  ASSERT_GE(found.notes.size(), 1U);
  EXPECT_EQ(found.notes[0], "minibatches by the ends of 2 optimizer ranges");
  const LayerCost& embed = *std::ranges::find(found.model.layers, "embed", &LayerCost::name);
  EXPECT_EQ(embed.alone.forward.samples, 2);
}

/// A trace in a file of its own, which ends with the test.
class KinetoText : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  Imported import(const std::string& events, const ImportOptions& given = options()) {
    write_file_atomically(path_, "{\"traceEvents\": [" + events + "]}");
    return import_kineto(path_, given);
  }
  std::string error(const std::string& events) {
    return error_of([&] { import(events); }).substr(path_.size());
  }

  static std::string event(const std::string& cat, const std::string& name, int tid, int ts,
                           int dur, const std::string& args = "") {
    return "{\"ph\":\"X\",\"cat\":\"" + cat + "\",\"name\":\"" + name +
           "\",\"pid\":1,\"tid\":" + std::to_string(tid) + ",\"ts\":" + std::to_string(ts) +
           ",\"dur\":" + std::to_string(dur) + ",\"args\":{" + args + "}},";
  }
  /// A kernel from `ts` on, launched by a thread at `launch`.
  static std::string kernel(int id, int tid, int launch, int ts, int dur) {
    const std::string args = "\"device\":0,\"correlation\":" + std::to_string(id);
    return event("cuda_runtime", "cudaLaunchKernel", tid, launch, 1, args) +
           event("kernel", "k", 0, ts, dur, args);
  }
  static std::string end() { return "{\"ph\":\"M\"}"; }

  std::string path_ = testing::TempDir() + "shardlab_import_" + std::to_string(getpid()) + ".json";
};

TEST_F(KinetoText, ModulesGoBeforeAnnotationsAndTheInnermostCounts) {
  const Imported found = import(event("user_annotation", "whole net", 1, 0, 100) +
                                event("python_function", "nn.Module: Net_0", 1, 0, 100) +
                                event("python_function", "nn.Module: Linear_0", 1, 10, 30) +
                                kernel(1, 1, 5, 6, 2) + kernel(2, 1, 20, 25, 10) +
                                event("python_function", "torch/nn/functional.py(1): f", 1, 50, 9) +
                                kernel(3, 1, 55, 60, 4) + end());
  ASSERT_EQ(found.model.layers.size(), 2U);
  EXPECT_EQ(found.model.layers[0].name, "Net_0");
  EXPECT_EQ(found.model.layers[0].alone.forward.median, us(6));
  EXPECT_EQ(found.model.layers[1].name, "Linear_0");
  EXPECT_EQ(found.model.layers[1].alone.forward.median, us(10));
}

TEST_F(KinetoText, AForwardWithinABackwardIsItsRecomputation) {
  const Imported found =
      import(event("user_annotation", "block", 1, 0, 50) +
             event("cpu_op", "Checkpoint", 1, 10, 20, "\"Sequence number\":1,\"Fwd thread id\":0") +
             kernel(1, 1, 15, 16, 10) +
             event("cpu_op", "autograd::engine::evaluate_function: CheckpointBackward", 2, 100, 100,
                   "\"Sequence number\":1,\"Fwd thread id\":1") +
             event("user_annotation", "block", 2, 110, 30) + kernel(2, 2, 120, 121, 11) +
             kernel(3, 2, 160, 161, 20) + end());
  ASSERT_EQ(found.model.layers.size(), 1U);
  EXPECT_EQ(found.model.layers[0].alone.forward.median, us(10));
  EXPECT_EQ(found.model.layers[0].alone.recompute.median, us(11));
  EXPECT_EQ(found.model.layers[0].alone.backward.median, us(20));
}

TEST_F(KinetoText, WithoutNumbersArrowsLeadToTheBackward) {
  const auto arrow = [](const char* phase, int tid, int ts) {
    return std::string("{\"ph\":\"") + phase + R"(","id":7,"pid":1,"tid":)" + std::to_string(tid) +
           ",\"ts\":" + std::to_string(ts) + R"(,"cat":"fwdbwd","name":"fwdbwd"},)";
  };
  const Imported found = import(
      event("user_annotation", "block", 1, 0, 50) + event("cpu_op", "aten::linear", 1, 10, 30) +
      kernel(1, 1, 15, 16, 10) + arrow("s", 1, 10) +
      event("cpu_op", "autograd::engine::evaluate_function: AddmmBackward0", 2, 100, 50) +
      event("cpu_op", "AddmmBackward0", 2, 105, 40) + arrow("f", 2, 105) +
      kernel(2, 2, 120, 121, 20) + end());
  ASSERT_EQ(found.model.layers.size(), 1U);
  EXPECT_EQ(found.model.layers[0].alone.forward.median, us(10));
  EXPECT_EQ(found.model.layers[0].alone.backward.median, us(20));
}

TEST_F(KinetoText, WithoutNumbersAnAnnotationTellsTheBackward) {
  const Imported found = import(event("user_annotation", "## backward ##", 1, 100, 100) +
                                event("user_annotation", "block", 1, 0, 50) +
                                event("user_annotation", "block", 1, 110, 30) +
                                kernel(1, 1, 15, 16, 10) + kernel(2, 1, 120, 121, 20) + end());
  ASSERT_EQ(found.model.layers.size(), 1U);
  EXPECT_EQ(found.model.layers[0].alone.forward.median, us(10));
  EXPECT_EQ(found.model.layers[0].alone.backward.median, us(20));
}

TEST_F(KinetoText, ABackwardThatIsNotSeenIsMissingNotZero) {
  const Imported found =
      import(event("user_annotation", "block", 1, 0, 50) + kernel(1, 1, 15, 16, 10) + end());
  EXPECT_FALSE(found.model.layers.at(0).missing.has(CostField::kForward));
  EXPECT_TRUE(found.model.layers.at(0).missing.has(CostField::kBackward));
  EXPECT_FALSE(found.whole_step);
}

TEST_F(KinetoText, WorkWithoutItsLaunchIsCounted) {
  const Imported found =
      import(event("user_annotation", "block", 1, 0, 50) + kernel(1, 1, 15, 16, 10) +
             event("kernel", "k", 0, 30, 5, "\"correlation\":77") + event("kernel", "k", 0, 40, 5) +
             end());
  EXPECT_TRUE(says(found,
                   "1 kernels and copies on the device: their launch is not in the trace; they "
                   "took 0.005 ms"));
  EXPECT_TRUE(says(found, "1 kernels: they have no correlation with a launch"));
  EXPECT_TRUE(
      says(found, "1 events (1 without a category): nothing of a layer's costs is in them"));
}

TEST_F(KinetoText, CopiesBelongToTheLayerThatLaunchedThem) {
  const auto copy = [](int id, int launch, int ts, int dur, const std::string& name, int bytes) {
    const std::string args = "\"device\":0,\"correlation\":" + std::to_string(id);
    return event("cuda_runtime", "cudaMemcpyAsync", 1, launch, 1, args) +
           event("gpu_memcpy", name, 0, ts, dur, args + ",\"bytes\":" + std::to_string(bytes));
  };
  const Imported found =
      import(event("user_annotation", "block", 1, 0, 50) + kernel(1, 1, 5, 10, 10) +
             copy(2, 6, 12, 18, "Memcpy HtoD (Pageable -> Device)", 100) + kernel(3, 1, 8, 40, 10) +
             copy(4, 9, 60, 5, "Memcpy DtoD (Device -> Device)", 7) +
             copy(5, 60, 80, 5, "Memcpy DtoH (Device -> Pinned)", 9) +
             event("user_annotation", "idle", 1, 70, 10) +
             copy(6, 75, 90, 5, "Memcpy DtoH (Device -> Pinned)", 11) + end());
  ASSERT_EQ(found.model.layers.size(), 1U);
  const LayerCost& block = found.model.layers[0];
  const CopyClass slow_up{CopyDirection::kHostToDevice}, within{CopyDirection::kDeviceToDevice};
  const CopyClass down{CopyDirection::kDeviceToHost, true};
  EXPECT_EQ(block.alone.forward.median, us(55));  // 10 to 65: a copy's time is waiting.
  EXPECT_EQ(
      block.recorded.at(Phase::kForward),
      (DeviceWork{1, 3, us(25), us(20), {{slow_up, {1, 100, us(18)}}, {within, {1, 7, us(5)}}}}));
  EXPECT_EQ(found.model.unattributed->copies,
            (std::map<CopyClass, CopyTotals>{{down, {2, 20, us(10)}}}));
}

TEST_F(KinetoText, TheOptimizerIsTheOneThatTheTraceNames) {
  const auto with = [&](const std::vector<std::string>& optimizers, const ImportOptions& given) {
    std::string events = event("user_annotation", "block", 1, 0, 50) + kernel(1, 1, 5, 10, 10);
    int at = 100;
    for (const std::string& each : optimizers) {
      events += event("user_annotation", "Optimizer.step#" + each + ".step", 1, at, 10);
      at += 20;
    }
    return import(events + end(), given);
  };
  const auto refused = [&](const std::vector<std::string>& optimizers, const ImportOptions& given) {
    return error_of([&] { with(optimizers, given); }).substr(path_.size());
  };
  ImportOptions sgd = options(), filled = options();
  sgd.optimizer = OptimizerKind::kSgd;
  filled.usual_optimizer = OptimizerKind::kSgd;
  filled.usual_from = "w.toml";
  EXPECT_EQ(with({"Adam", "Adam"}, options()).model.optimizer, OptimizerKind::kAdamW);
  EXPECT_EQ(with({"AdamW"}, options()).notes[1], "optimizer: AdamW in the trace, taken as adamw");
  EXPECT_EQ(with({}, options()).notes[1], "optimizer: not named in the trace, taken as adamw");
  const Imported unnamed = with({}, filled);
  EXPECT_EQ(unnamed.model.optimizer, OptimizerKind::kSgd);
  EXPECT_EQ(unnamed.notes[1], "optimizer: not named in the trace, taken as sgd of w.toml");
  EXPECT_EQ(refused({"SGD", "Adam"}, options()),
            ": its optimizers are Adam, SGD: say with --optimizer as which one they are taken");
  EXPECT_EQ(with({"SGD", "Adam"}, sgd).notes[1],
            "optimizer: Adam, SGD in the trace, taken as sgd, as the user says");
  EXPECT_EQ(refused({"RMSprop"}, filled),
            ": its optimizer is RMSprop, which is neither AdamW, Adam nor SGD: say with "
            "--optimizer as which one it is taken");
  EXPECT_EQ(with({"RMSprop"}, sgd).model.optimizer, OptimizerKind::kSgd);
  EXPECT_EQ(refused({"AdamW"}, sgd),
            ": --optimizer sgd: the trace says AdamW; leave --optimizer out");
  EXPECT_EQ(refused({"AdamW"}, filled),
            ": w.toml: trains with sgd, the trace with AdamW; write optimizer = \"adamw\"");
}

TEST_F(KinetoText, SaysWhyNothingCanBeMadeOfATrace) {
  EXPECT_EQ(error(""), ": no event in it; is it a Chrome trace?");
  EXPECT_EQ(error(end()),
            ": no kernel in it: only work of a GPU is imported; profile with CUDA activities");
  EXPECT_TRUE(error(kernel(1, 1, 15, 16, 10) + end())
                  .starts_with(": no range in it makes a layer; name operators"));
  EXPECT_EQ(error(event("user_annotation", "block", 1, 0, 5) + kernel(1, 1, 15, 16, 10) + end()),
            ": nothing that ran on the device was launched in a range of a layer; could not use 1 "
            "kernels and copies on the device: they were launched in no range of a layer; they "
            "took 0.010 ms; could not use 1 layers: nothing ran on the device for them");
}

TEST(RangeRules, RefusesWhatIsNoRegularExpression) {
  ImportOptions bad = options();
  bad.layer_rule = "aten::(";
  EXPECT_TRUE(error_of([&] {
                RangeRules rules(bad);
              }).starts_with("--layer-rule 'aten::(': no regular expression: "));
}

/// An export of Nsight Systems, as far as it is read: the training of the fixtures of Kineto.
class NsightImport : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database_), SQLITE_OK);
    run("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT)");
    run("INSERT INTO StringIds VALUES (1, 'embed'), (2, 'gemm')");
    run("CREATE TABLE TARGET_INFO_GPU (id INTEGER, name TEXT)");
    run("INSERT INTO TARGET_INFO_GPU VALUES (0, 'Example GPU 24 GB')");
    run("CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER, "
        "contextId INTEGER, streamId INTEGER, correlationId INTEGER, globalPid INTEGER, "
        "demangledName INTEGER)");
    run("CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, globalTid INTEGER, "
        "correlationId INTEGER)");
    run("CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start INTEGER, end INTEGER, deviceId INTEGER, "
        "streamId INTEGER, bytes INTEGER, copyKind INTEGER, srcKind INTEGER, dstKind INTEGER)");
    run("CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, text TEXT, textId INTEGER, "
        "globalTid INTEGER, eventType INTEGER)");
    for (int s = 0; s < 2; ++s) add_minibatch(s);
  }
  void TearDown() override {
    sqlite3_close(database_);
    std::filesystem::remove(path_);
  }

  void run(const std::string& sql) {
    char* why = nullptr;
    EXPECT_EQ(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &why), SQLITE_OK)
        << sql << ": " << why;
  }
  void insert(const std::string& table, const std::vector<std::int64_t>& values) {
    std::string text;
    for (const std::int64_t value : values)
      text += (text.empty() ? "" : ", ") + std::to_string(value);
    run("INSERT INTO " + table + " VALUES (" + text + ")");
  }
  void range(const std::string& name, int thread, std::int64_t from, std::int64_t to) {
    run("INSERT INTO NVTX_EVENTS VALUES (" + std::to_string(from) + ", " + std::to_string(to) +
        ", '" + name + "', NULL, " + std::to_string(kProcess + thread) + ", 59)");
  }
  void kernel(int thread, std::int64_t launch, std::int64_t from, std::int64_t time) {
    ++correlation_;
    insert("CUPTI_ACTIVITY_KIND_RUNTIME", {launch, launch + 4, kProcess + thread, correlation_});
    insert("CUPTI_ACTIVITY_KIND_KERNEL", {from, from + time, 0, 1, 7, correlation_, kProcess, 2});
  }
  void add_minibatch(int s) {
    const std::int64_t t = 1000 * s;
    range("iteration " + std::to_string(s), 10, t, t + 900);
    insert("CUPTI_ACTIVITY_KIND_MEMCPY",
           {t, t + (s == 0 ? 10 : 100), 0, 7, s == 0 ? 64 : 1024, 1, 1, 2});
    insert("NVTX_EVENTS", {t + 10, t + 100, 0, 1, kProcess + 10, 59});
    run("UPDATE NVTX_EVENTS SET text = NULL WHERE textId = 1");
    range("aten::linear, seq = " + std::to_string(10 * s + 1), 10, t + 20, t + 90);
    kernel(10, t + 30, t + 50, 20);
    kernel(10, t + 60, t + 80, 10);
    range("head", 10, t + 110, t + 200);
    kernel(10, t + 120, t + 130, 40);
    range("AddmmBackward0, seq = " + std::to_string(10 * s + 1), 11, t + 400, t + 480);
    kernel(11, t + 410, t + 420, 70);
    range("Optimizer.step", 10, t + 600, t + 700);
    kernel(10, t + 610, t + 620, 50);
  }

  static constexpr std::int64_t kProcess = std::int64_t{77} << 24;
  std::string path_ =
      testing::TempDir() + "shardlab_nsight_" + std::to_string(getpid()) + ".sqlite";
  sqlite3* database_ = nullptr;
  int correlation_ = 0;
};

TEST_F(NsightImport, AttributesKernelsToRanges) {
  const Imported found = import_nsight(path_, options());
  ASSERT_EQ(found.model.layers.size(), 2U);
  const LayerCost& embed = found.model.layers[0];
  EXPECT_EQ(embed.name, "embed");
  EXPECT_EQ(embed.alone.forward.median, Duration{40});
  EXPECT_EQ(embed.alone.forward.busy, Duration{30});
  EXPECT_EQ(embed.alone.forward.samples, 2);
  EXPECT_EQ(embed.alone.backward.median, Duration{70});
  EXPECT_TRUE(found.model.layers[1].missing.has(CostField::kBackward));
  EXPECT_EQ(found.whole_step.value().median, Duration{50});
  EXPECT_EQ(found.device, "Example GPU 24 GB");
  EXPECT_FALSE(found.host.missing.has(CostField::kCopy));
  EXPECT_NEAR(found.host.copy.bytes_per_second, 960 / 90e-9, 1e6);
}

TEST_F(NsightImport, SaysWhichRowsItCouldNotUse) {
  run("INSERT INTO NVTX_EVENTS VALUES (5, NULL, 'head', NULL, 10, 59), (5, NULL, 'mark', NULL, 10, "
      "34)");
  const Imported found = import_nsight(path_, options());
  EXPECT_TRUE(says(found, "1 rows: they are marks of NVTX, not ranges"));
  EXPECT_TRUE(says(found, "1 rows: they have no start, no end, or an end before it"));
}

TEST_F(NsightImport, NamesATableOrColumnThatIsMissing) {
  run("ALTER TABLE CUPTI_ACTIVITY_KIND_RUNTIME RENAME COLUMN globalTid TO tid");
  EXPECT_EQ(error_of([&] { import_nsight(path_, options()); }),
            path_ + ": CUPTI_ACTIVITY_KIND_RUNTIME: globalTid: no such column");
  run("DROP TABLE CUPTI_ACTIVITY_KIND_KERNEL");
  run("CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS SELECT 1 AS start");  // Nothing of theirs is run.
  EXPECT_TRUE(error_of([&] {
                import_nsight(path_, options());
              }).starts_with(path_ + ": no table CUPTI_ACTIVITY_KIND_KERNEL: nothing ran on"));
}

TEST_F(NsightImport, RefusesWhatIsNoDatabase) {
  EXPECT_EQ(
      error_of([&] { import_nsight(fixture("graph.txt"), options()); }),
      fixture("graph.txt") + ": cannot be read as an SQLite database: file is not a database");
}

// Traces of others, where they are.
TEST(KinetoImport, ReadsMeasuredTraces) {
  struct Case {
    const char* file;
    const char* layer_rule;
    std::size_t layers;  ///< At least.
    bool backward;
  };
  for (const auto& [file, layer_rule, layers, backward] :
       {Case{"alexnet-a100.json.gz", "^aten::(conv2d|linear|max_pool2d|relu_|adaptive_avg_pool2d)$",
             10, false},
        Case{"resnet-2080ti-old-dialect.json.gz",
             "^aten::(conv2d|batch_norm|relu_|max_pool2d|linear|adaptive_avg_pool2d)$", 50, true},
        Case{"minitoy-mi250.json.gz", "^aten::(linear|mse_loss)$", 1, true},
        Case{"prefetch-overlap-a100.json.gz", "^aten::(linear|matmul)$", 10, true},
        Case{"sampled-rank0-a100.json.gz", "^aten::linear$", 2, true}}) {
    const std::string path = measured_data(std::string("kineto/") + file);
    if (path.empty()) GTEST_SKIP() << "no measured data: set SHARDLAB_DATA";
    ImportOptions given = options();
    given.layer_rule = layer_rule;
    if (std::string_view(file).starts_with("sampled")) given.optimizer = OptimizerKind::kSgd;
    const Imported found = import_kineto(path, given);  // Those train with Shampoo.
    EXPECT_GE(found.model.layers.size(), layers) << file;
    EXPECT_EQ(std::ranges::any_of(
                  found.model.layers,
                  [](const LayerCost& layer) { return !layer.missing.has(CostField::kBackward); }),
              backward)
        << file;
    for (const LayerCost& layer : found.model.layers) {
      const Measured& forward = layer.alone.forward;
      EXPECT_LE(forward.busy.value_or(Duration{}), forward.median) << file << " " << layer.name;
    }
  }
}

TEST(KinetoImport, NamesLayersInWhichTheDeviceWaitedForTheHost) {
  const std::string path = measured_data("kineto/alexnet-a100.json.gz");
  if (path.empty()) GTEST_SKIP() << "no measured data: set SHARDLAB_DATA";
  ImportOptions given = options();
  given.layer_rule = "^aten::(conv2d|linear)$";
  const Imported found = import_kineto(path, given);
  const Measured& first = found.model.layers.at(0).alone.forward;
  EXPECT_GT(first.median, std::chrono::seconds{9});
  EXPECT_LT(first.busy.value_or(first.median), std::chrono::milliseconds{2});
  EXPECT_TRUE(std::ranges::any_of(found.notes, [](const std::string& note) {
    return note.starts_with(
        "the device waited for the host within layers: forward_ns of conv2d #0");
  }));
}

}  // namespace
}  // namespace shardlab
