// Random traces, in any order of records and with any memory, against one that looks at everything.
#include "imports/gpu_trace.h"

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "imports/range_sweep.h"
#include "profiler/samples.h"
#include "tests/error_of.h"
#include "tests/trace_reference.h"

namespace shardlab {
namespace {

using Range = ReferenceTrace::Range;

class RandomTrace {
 public:
  explicit RandomTrace(unsigned seed) : draw_(seed) {
    const int steps = below(4) + 1;
    for (int s = 0; s < steps; ++s) add_step(s);
    for (int i = below(4); i > 0; --i) trace_.works.push_back(work(100'000 + i));
    std::ranges::shuffle(trace_.works, draw_);
  }

  const ReferenceTrace& lists() const { return trace_; }

  /// Its records in an order of its own, as a file of any writer may have them.
  Imported import(std::size_t held_bytes, unsigned order) const {
    std::vector<std::function<void(GpuTrace&)>> records;
    for (const auto& each : trace_.launches) {
      records.push_back(
          [&](GpuTrace& to) { to.launch(each.correlation, each.thread, each.at_ns); });
    }
    for (const auto& each : trace_.works) {
      records.push_back([&](GpuTrace& to) {
        each.a_copy ? to.copy({each.correlation, each.start_ns, each.end_ns, each.device},
                              each.copied, each.bytes)
                    : to.work(each);
      });
    }
    for (const auto& each : trace_.ranges) {
      const RangeSource source =
          each.role == RangeRole::kOperator ? RangeSource::kOperator : RangeSource::kAnnotation;
      records.push_back([&, source](GpuTrace& to) {
        to.range(each.name, source, each.thread, each.start, each.end);
      });
    }
    for (const auto& each : trace_.operators) {
      records.push_back([&](GpuTrace& to) {
        to.numbered(each.backward, each.sequence, each.thread, each.start, each.end);
      });
    }
    std::mt19937 shuffle(order);
    std::ranges::shuffle(records, shuffle);
    ImportOptions options;
    options.layer_rule = "^(?:layer|aten::).*$";
    const RangeRules rules(options);
    options.held_bytes = held_bytes;
    options.gpu = "all";
    GpuTrace trace(rules, options);
    for (const auto& record : records) record(trace);
    Imported result;
    trace.finish({}, result);
    return result;
  }

 private:
  int below(int limit) { return static_cast<int>(draw_() % static_cast<unsigned>(limit)); }

  TracedWork work(std::int64_t correlation) {
    device_time_ += 1 + below(20);
    TracedWork made{correlation, device_time_, device_time_ + 1 + below(30), below(2)};
    made.a_copy = below(3) == 0;
    if (!made.a_copy) return made;
    made.copied = {static_cast<CopyDirection>(below(4)), below(2) == 0};
    made.bytes = below(1000);
    made.worked = !between_host_and_device(made.copied);
    return made;
  }

  /// A launch now, and what it launched: nothing, one piece of work or several.
  void launch(std::uint64_t thread) {
    const std::int64_t id = ++correlation_;
    trace_.launches.push_back({id, ++now_, thread});
    for (int i = below(5) == 0 ? 0 : 1 + below(2); i > 0; --i) trace_.works.push_back(work(id));
  }

  /// Now, when the last launch was, or later.
  std::int64_t end() { return now_ += below(2); }

  /// A range around what `body` does.
  template <typename Body>
  void within(const std::string& name, RangeRole role, std::uint64_t thread, const Body& body) {
    const std::int64_t start = ++now_;
    body();
    trace_.ranges.push_back({name, role, thread, start, end()});
  }

  void forward(std::uint64_t thread, int depth) {
    const bool op = below(2) == 0;
    const std::string name =
        op ? "aten::op" + std::to_string(below(2)) : "layer " + std::to_string(below(3));
    within(name, op ? RangeRole::kOperator : RangeRole::kLayer, thread, [&] {
      const std::int64_t start = ++now_;
      for (int i = below(3); i > 0; --i) launch(thread);
      if (depth < 2 && below(2) == 0) forward(thread, depth + 1);
      for (int i = below(2); i > 0; --i) launch(thread);
      trace_.operators.push_back(
          {false, below(8) == 0 ? sequence_ : ++sequence_, thread, start, ++now_});
    });
  }

  void backward() {
    const std::uint64_t thread = 8 + static_cast<std::uint64_t>(below(2));
    const std::int64_t start = ++now_;
    launch(thread);
    if (below(4) == 0) {
      within("layer 1", RangeRole::kLayer, thread, [&] { launch(thread); });  // Recomputation.
    }
    launch(thread);
    trace_.operators.push_back(
        {true, below(static_cast<int>(sequence_) + 3), thread, start, end()});
  }

  void add_step(int s) {
    const std::int64_t start = ++now_;
    for (int i = 2 + below(4); i > 0; --i) forward(1 + static_cast<std::uint64_t>(below(2)), 0);
    if (below(3) == 0) {
      within("## backward ##", RangeRole::kBackward, 1, [&] { forward(1, 1); });
    }
    for (int i = below(5); i > 0; --i) {
      if (below(4) == 0) {
        within("layer 2", RangeRole::kLayer, 8, [&] { backward(); });
      } else {
        backward();
      }
    }
    within("Optimizer.zero_grad", RangeRole::kZeroing, 1, [&] { launch(1); });
    within("Optimizer.step#SGD", RangeRole::kOptimizer, 1, [&] { launch(1); });
    launch(1);  // Of nothing.
    trace_.ranges.push_back(
        {"ProfilerStep#" + std::to_string(s), RangeRole::kStep, 1, start, ++now_});
    if (below(2) == 0) within("layer 0", RangeRole::kLayer, 2, [&] { launch(2); });  // Outside.
  }

  std::mt19937 draw_;
  ReferenceTrace trace_;
  std::int64_t now_ = 0, device_time_ = 0, correlation_ = 0, sequence_ = 0;
};

Measured measured(const ReferenceTrace::Sums& sums, const std::string& layer, Phase phase) {
  Samples times, busy;
  const auto found = sums.find({layer, phase});
  if (found == sums.end()) return {};
  for (const auto& [step, sum] : found->second) {
    times.emplace_back(sum.first);
    busy.emplace_back(sum.second);
  }
  Measured result = summarize(times);
  result.busy = summarize(busy).median;
  return result;
}

void expect_same(const Measured& found, const Measured& expected) {
  EXPECT_EQ(found.median, expected.median);
  EXPECT_EQ(found.spread, expected.spread);
  EXPECT_EQ(found.samples, expected.samples);
  EXPECT_EQ(found.busy, expected.busy);
}

DeviceWork without_minibatches(DeviceWork work) {
  work.minibatches = 0;
  return work;
}

/// Nothing is lost: what layers copied that nothing ran for is with what belongs to nobody.
void expect_recorded(const Imported& found, const ReferenceTrace::Recorded& expected) {
  DeviceWork nobody;
  for (const auto& [key, work] : expected) {
    const auto& [name, phase] = key;
    SCOPED_TRACE(name + ", phase " + std::to_string(static_cast<int>(phase)));
    const auto layer = std::ranges::find(found.model.layers, name, &LayerCost::name);
    if (name.empty() && phase == Phase::kStep) {
      ASSERT_TRUE(found.model.whole_step);
      EXPECT_EQ(without_minibatches(*found.model.whole_step), work);
    } else if (name.empty() || layer == found.model.layers.end()) {
      add(nobody, work);
    } else {
      ASSERT_TRUE(layer->recorded.contains(phase));
      EXPECT_EQ(without_minibatches(layer->recorded.at(phase)), work);
      if (work.launches > 0) {
        EXPECT_GE(layer->recorded.at(phase).minibatches, of(layer->alone, phase).samples);
      }
    }
  }
  ASSERT_TRUE(found.model.unattributed);
  EXPECT_EQ(without_minibatches(*found.model.unattributed), nobody);
  std::int64_t most = 0;
  for (const LayerCost& layer : found.model.layers) {
    for (const auto& [phase, work] : layer.recorded) most = std::max(most, work.minibatches);
  }
  EXPECT_EQ(found.model.unattributed.value_or(DeviceWork{}).minibatches, most);
}

void expect_as_reference(const Imported& found, const ReferenceTrace::Found& expected) {
  expect_recorded(found, expected.recorded);
  for (const auto& [key, sums] : expected.sums) {
    const auto& [name, phase] = key;
    SCOPED_TRACE(name + ", phase " + std::to_string(static_cast<int>(phase)));
    if (name.empty()) {
      ASSERT_TRUE(found.whole_step);
      expect_same(*found.whole_step, measured(expected.sums, name, phase));
      continue;
    }
    const auto layer = std::ranges::find(found.model.layers, name, &LayerCost::name);
    ASSERT_NE(layer, found.model.layers.end());
    expect_same(of(layer->alone, phase), measured(expected.sums, name, phase));
  }
  std::size_t phases = found.whole_step ? 1 : 0;
  for (const LayerCost& layer : found.model.layers) {
    for (const auto field : {CostField::kForward, CostField::kRecompute, CostField::kBackward}) {
      phases += layer.missing.has(field) ? 0 : 1;
    }
  }
  EXPECT_EQ(phases, expected.sums.size());
  std::map<std::string, std::int64_t> lost;
  for (const Unused& unused : found.unused) {
    if (unused.what == "kernels and copies on the device") {
      lost[unused.why.substr(0, unused.why.find(';'))] = unused.count;
    }
  }
  EXPECT_EQ(lost, expected.lost);
}

TEST(GpuTrace, FindsWhatLookingAtEverythingFindsInAnyOrderAndWithAnyMemory) {
  int traces = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RandomTrace trace(seed);
    const ReferenceTrace::Found expected = trace.lists().find();
    const bool any = std::ranges::any_of(
        expected.sums, [](const auto& each) { return !each.first.first.empty(); });
    if (!any) continue;  // Refused.
    ++traces;
    for (const std::size_t held_bytes : {std::size_t{1}, std::size_t{200}, std::size_t{1} << 20}) {
      expect_as_reference(trace.import(held_bytes, seed), expected);
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(traces, 250);
}

TEST(GpuTrace, RefusesMoreLayersThanAnyModelHas) {
  ImportOptions options;
  options.layer_rule = "^aten::|^layer";
  const RangeRules rules(options);
  GpuTrace names(rules, options);
  const auto add_layers = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      names.range(fmt::format("aten::{}", i), RangeSource::kOperator, 1, 0, 9);
    }
  };
  add_layers(RangeNames::kMost);
  EXPECT_TRUE(error_of([&] {
                add_layers(RangeNames::kMost + 1);
              }).starts_with("ranges of layers have more than 65536 names; --layer-rule"));
  GpuTrace operators(rules, options);
  for (std::size_t i = 0; i <= TraceLayers::kMost; ++i) {
    operators.range("aten::linear", RangeSource::kOperator, 1, static_cast<std::int64_t>(i), 9);
  }
  operators.work({1, 1, 2, 0});
  Imported to;
  EXPECT_TRUE(error_of([&] {
                operators.finish({}, to);
              }).starts_with("more than 65536 layers: mark minibatches"));
}

TEST(GpuTrace, CountsMinibatchesAndRangesThatItDoesNotHold) {
  const ImportOptions options;
  const RangeRules rules(options);
  GpuTrace trace(rules, options);
  const auto last = static_cast<std::int64_t>(TraceSteps::kMost) + 2;
  for (std::int64_t i = 0; i < last; ++i) {
    trace.range("iteration 1", RangeSource::kAnnotation, 1, 10 * i, 10 * i + 9);
  }
  const auto deepest = static_cast<std::int64_t>(RangeSweep<TracedRange>::kDeepest);
  for (std::int64_t i = 0; i < deepest + 3; ++i) {
    trace.range("block", RangeSource::kAnnotation, 1, 0, 9);
  }
  trace.launch(1, 1, 5);
  trace.work({1, 6, 8, 0});
  Imported to;
  trace.finish({}, to);
  ASSERT_EQ(to.unused.size(), 2U);
  EXPECT_EQ(to.unused[0].count, 3);
  EXPECT_EQ(to.unused[0].why, "they lie within thousands of others");
  EXPECT_EQ(to.unused[1].count, 2);
  EXPECT_EQ(to.unused[1].why, "more than 4194304 are not held");
  EXPECT_EQ(to.model.layers.at(0).alone.forward.median, Duration{2});
}

}  // namespace
}  // namespace shardlab
