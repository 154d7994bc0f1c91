#include "profiler/profile.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/arena.h"
#include "models/layer_sizes.h"
#include "models/memory_account.h"
#include "models/shard_pass.h"
#include "models/validate.h"
#include "profiler/lane.h"
#include "profiler/model_bench.h"
#include "sched/shard_cost.h"

namespace shardlab {
namespace {

const ModelSpec kMlp{Architecture::kMlp, 3, 40, 1, 12, 0.1};
const ModelSpec kNarrowMlp{Architecture::kMlp, 4, 24, 1, 5, 0};
const ModelSpec kWideMlp{Architecture::kMlp, 2, 600, 1, 5, 0.1};
const ModelSpec kGpt{Architecture::kGpt, 3, 48, 3, 24, 0.1};
const ModelSpec kLongGpt{Architecture::kGpt, 2, 32, 2, 200, 0};
const ModelSpec kBert{Architecture::kBert, 2, 64, 4, 32, 0.1};
const ModelSpec kVit{Architecture::kVit, 2, 64, 4, 64, 0.1};
const ModelSpec kWideVit{Architecture::kVit, 2, 128, 4, 4, 0};
/// `spec` with feed-forward layers of that width.
ModelSpec with_feed_forward(ModelSpec spec, int width) {
  spec.feed_forward = width;
  return spec;
}
const ModelSpec kSquareBert = with_feed_forward(kBert, kBert.width);
constexpr int kBatch = 3;

/// Really allocated by the passes of layers [first, last), beside what the caller holds.
struct Peaks {
  Bytes forward = 0;
  Bytes backward = 0;
};

Peaks measure(const Model& model, int first, int last, OptimizerKind optimizer) {
  const ModelSpec& spec = model.spec();
  const ShardPass pass(model, first, last);
  const Arena parameters(pass.parameter_floats());
  const Arena state(pass.parameter_floats() * state_factor(optimizer));
  const Arena values(boundary_elements(spec, kBatch));
  const std::vector<std::int64_t> tokens(
      static_cast<std::size_t>(kBatch * inputs_per_sequence(spec)));
  pass.initialize(1, parameters.span());
  const at::Tensor activation = view_activation(values.data(), spec, kBatch);
  const at::Tensor input = first == 0 ? view_tokens(tokens, kBatch) : activation;
  const at::Tensor target = at::zeros({kBatch * targets_per_sequence(spec)}, at::kLong);
  MemoryAccount account;
  const AccountScope scope(account);
  if (pass.makes_loss()) {
    (void)pass.evaluate(parameters.data(), input, target, {});
  } else {
    (void)pass.forward(parameters.data(), input, {});
  }
  Peaks peaks{account.peak(), 0};
  account.reset_peak();
  Gradients gradients = pass.makes_loss()
                            ? pass.backward(pass.record(parameters.data(), input, target, {}))
                            : pass.backward(pass.record(parameters.data(), input, {}), activation);
  pass.step({optimizer, 1e-3, 0.9, 0}, 1, gradients, parameters.data(), state.data());
  peaks.backward = account.peak();
  return peaks;
}

class ComposedBytes : public testing::TestWithParam<ModelSpec> {};

TEST_P(ComposedBytes, BoundWhatEveryCutReallyAllocates) {
  const TorchDevice device{DeviceSpec{}};
  device.enter(TorchDevice::Queue::kCompute);
  for (const OptimizerKind optimizer : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    ModelBench bench(device, GetParam(), kBatch, optimizer);
    ModelProfile profile = bench.key();
    profile.layers = bench.measure_bytes();
    const Model model(GetParam());
    for (int first = 0; first < model.layers(); ++first) {
      for (int last = first + 1; last <= model.layers(); ++last) {
        const ShardCost cost = shard_cost(profile, first, last);
        const Peaks real = measure(model, first, last, optimizer);
        const ShardPass pass(model, first, last);
        EXPECT_EQ(cost.parameters, pass.parameter_bytes());
        EXPECT_EQ(cost.state, pass.parameter_bytes() * state_factor(optimizer));
        EXPECT_LE(real.forward, cost.output + cost.forward_workspace) << first << " to " << last;
        EXPECT_LE(real.backward, cost.input + cost.backward_workspace) << first << " to " << last;
        // A bound that is far off would refuse what fits.
        EXPECT_GE(2 * real.backward, cost.input + cost.backward_workspace)
            << first << " to " << last;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ComposedBytes,
                         testing::Values(kMlp, kNarrowMlp, kWideMlp, kGpt, kLongGpt, kBert, kVit,
                                         kWideVit, kSquareBert),
                         [](const auto& info) { return "n" + std::to_string(info.index); });

// Its blocks are a bert's.
TEST(ModelBench, BytesOfAVitsEndsAreThoseOfArithmetic) {
  constexpr Bytes kScratch = 16 << 10;  // Of LibTorch's libraries.
  const TorchDevice device{DeviceSpec{}};
  for (const ModelSpec& spec : {kVit, kWideVit}) {
    ModelBench bench(device, spec, 40, OptimizerKind::kAdamW);
    const std::vector<LayerCost> measured = bench.measure_bytes();
    const auto sizes = layer_sizes(spec, 40, OptimizerKind::kAdamW);
    ASSERT_EQ(measured.size(), sizes.size());
    for (const std::size_t i : {std::size_t{0}, sizes.size() - 1}) {
      EXPECT_EQ(measured[i].parameters, sizes[i].parameters) << i;
      EXPECT_EQ(measured[i].output, i == 0 ? sizes[i].output : 0) << i;
      EXPECT_NEAR(measured[i].saved, sizes[i].saved, kScratch) << i;
      EXPECT_NEAR(measured[i].forward_workspace, sizes[i].forward_workspace, kScratch) << i;
      EXPECT_LE(measured[i].backward_workspace, sizes[i].backward_workspace + kScratch) << i;
    }
  }
}

TEST(ModelBench, BytesOfABlockAreThoseOfArithmeticWhateverItsFeedForwardLayersAre) {
  const TorchDevice device{DeviceSpec{}};
  ModelSpec plain = kBert;
  plain.dropout = 0;
  for (const ModelSpec& model : {kBert, plain, kGpt}) {
    for (const int width : {model.width, 2 * model.width, 0, 7 * model.width}) {
      const ModelSpec spec = with_feed_forward(model, width);
      SCOPED_TRACE(describe(spec));
      ModelBench bench(device, spec, 40, OptimizerKind::kAdamW);
      const LayerCost measured = bench.measure_bytes()[1];
      const LayerCost block = layer_sizes(spec, 40, OptimizerKind::kAdamW)[1];
      EXPECT_EQ(measured.parameters, block.parameters);
      EXPECT_EQ(measured.saved, block.saved);
      EXPECT_EQ(measured.forward_workspace, block.forward_workspace);
      // Exact with dropout; without it one boundary less, and scratch of LibTorch's libraries.
      EXPECT_LE(measured.backward_workspace, block.backward_workspace + (16 << 10));
      EXPECT_GE(measured.backward_workspace + (spec.dropout > 0 ? 0 : block.output),
                block.backward_workspace);
    }
  }
}

// Marks around all of a unit lie outside those between its layers, however busy the machine.
TEST(ModelBench, AMinibatchTakesNoLessAroundItsUnitsThanItsLayersTogether) {
  const TorchDevice device{DeviceSpec{}};
  device.enter(TorchDevice::Queue::kCompute);
  ModelBench bench(device, kMlp, kBatch, OptimizerKind::kSgd, /*shard=*/1);  // Several units.
  ASSERT_GT(bench.units(), 2U);
  std::vector<LayerSamples> samples;
  for (int run = 0; run < 3; ++run) {
    samples.clear();
    const Duration around = bench.run({}, samples);
    Duration layers{};
    for (const LayerSamples& layer : samples) {
      for (const Phase phase : kPhases) {
        ASSERT_EQ(of(layer, phase).size(), 1U);
        layers += of(layer, phase).front();
      }
    }
    EXPECT_GE(around, layers);
    EXPECT_GT(layers, Duration{});
  }
}

TEST(ModelBench, BytesAreThoseOfTheTensors) {
  const TorchDevice device{DeviceSpec{}};
  ModelBench bench(device, {Architecture::kMlp, 1, 32, 1, 4, 0}, 5, OptimizerKind::kAdamW);
  const std::vector<LayerCost> layers = bench.measure_bytes();
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(layers[1].name, "block 1");
  EXPECT_EQ(layers[1].parameters, (32 * 32 + 32) * 4);
  EXPECT_EQ(layers[1].state, 2 * layers[1].parameters);
  EXPECT_EQ(layers[1].output, 5 * 32 * 4);
  EXPECT_EQ(layers[1].saved, 5 * 32 * 4);              // What GELU's backward needs.
  EXPECT_EQ(layers[1].forward_workspace, 5 * 32 * 4);  // The same, for a moment.
  EXPECT_EQ(layers[2].output, 0);                      // The loss goes nowhere.
}

TEST(CopyBench, GivesOneSampleOfEachSizeAndDirection) {
  const TorchDevice device{DeviceSpec{}};
  CopyBench bench(device);
  std::vector<CopySample> there, back;
  for (int i = 0; i < 4; ++i) bench.to_device(there);  // Goes round its arrays.
  bench.to_host(back);
  ASSERT_EQ(there.size(), 20U);
  ASSERT_EQ(back.size(), 5U);
  EXPECT_EQ(there.front().bytes, 64 << 10);
  EXPECT_EQ(back.back().bytes, 16 << 20);
}

Workload tiny() {
  Workload workload;
  workload.jobs.push_back({"a", kMlp, 4, {OptimizerKind::kSgd}, 1, 1, ""});
  workload.jobs.push_back({"b", kGpt, 2, {OptimizerKind::kAdamW}, 1, 1, ""});
  workload.jobs.push_back({"twin of a", kMlp, 4, {OptimizerKind::kSgd, 0.5}, 9, 2, ""});
  return workload;
}

Cluster two_lanes() {
  Cluster cluster;
  cluster.devices.resize(2);
  return cluster;
}

constexpr ProfileOptions kShort{.warm_up = 1, .min_rounds = 3, .max_rounds = 3, .seconds = 0};

void expect_filled(const LayerTimes& times, std::int64_t at_least) {
  for (const Measured& measured : {times.forward, times.recompute, times.backward, times.step}) {
    EXPECT_GT(measured.median.count(), 0);
    EXPECT_GE(measured.spread.count(), 0);
    EXPECT_GE(measured.samples, at_least);
  }
}

TEST(Profile, HoldsEveryDistinctModelOnceAndEveryField) {
  const Profile result = profile(tiny(), two_lanes(), kShort);
  ASSERT_EQ(result.models.size(), 2U);
  EXPECT_EQ(find(result, kGpt, 2, OptimizerKind::kAdamW).layers.size(), 5U);
  for (const ModelProfile& model : result.models) {
    for (const LayerCost& layer : model.layers) {
      expect_filled(layer.alone, 3);
      expect_filled(layer.loaded, 6);
      EXPECT_GT(layer.parameters, 0);
      EXPECT_EQ(layer.output > 0, layer.name != "head");
    }
  }
  for (const HostCosts& host : {result.alone, result.loaded}) {
    EXPECT_GT(host.copy.bytes_per_second, 1e6);
    EXPECT_GE(host.copy.latency.count(), 0);
    EXPECT_GT(host.unit_overhead.count(), 0);
    EXPECT_GT(host.dispatch.count(), 0);
  }
  const Provenance& from = result.provenance;
  EXPECT_FALSE(from.device.empty());
  EXPECT_TRUE(from.libtorch.starts_with("2."));
  EXPECT_FALSE(from.shardlab.empty());
  EXPECT_EQ(from.date.size(), 20U);
  EXPECT_EQ(from.lanes, 2);
  EXPECT_EQ(from.threads_per_lane, 1);
  EXPECT_EQ(from.warm_up, 1);
  EXPECT_EQ(from.rounds, 3);
  EXPECT_GE(from.drift, 0);
  EXPECT_GT(from.fixed_work.count(), 0);
  ASSERT_GE(from.conditions.size(), 3U);
  EXPECT_EQ(from.conditions[2].what, "load average");
  EXPECT_FALSE(from.conditions[2].after.empty());
  EXPECT_FALSE(from.allocator_rounding);
}

TEST(Profile, TimesWholeMinibatchesBesideTheirLayers) {
  for (const ModelProfile& model : profile(tiny(), two_lanes(), kShort).models) {
    ASSERT_TRUE(model.whole);
    EXPECT_GT(model.whole->median.count(), 0);
    EXPECT_GE(model.whole->samples, 1);
  }
}

TEST(Profile, EndsOnceMediansAreKnownWellEnoughAndSaysByWhat) {
  const auto repeats = [](ProfileOptions options) {
    const Profile found = profile(tiny(), two_lanes(), options);
    EXPECT_TRUE(found.provenance.repeats);
    return std::pair(found.provenance.repeats.value_or(Repeats{}), found.provenance.rounds);
  };
  ProfileOptions lax{.warm_up = 0, .min_rounds = 3, .max_rounds = 9, .seconds = 1e6};
  lax.interval = 1e6;
  const auto [easy, rounds] = repeats(lax);
  EXPECT_EQ(easy.ended, "interval");
  EXPECT_EQ(rounds, kRoundsOfInterval);
  EXPECT_GT(easy.interval, 0);
  EXPECT_EQ(easy.wanted, 1e6);
  ProfileOptions strict = lax;
  strict.interval = 0;
  const auto [hard, most] = repeats(strict);
  EXPECT_EQ(hard.ended, "rounds");
  EXPECT_EQ(most, 9);
  strict.seconds = 0;
  EXPECT_EQ(repeats(strict).first.ended, "time");
}

TEST(Profile, ProgressRisesToOne) {
  std::vector<double> seen;
  (void)profile(tiny(), two_lanes(), kShort,
                [&](double done, const std::string&) { seen.push_back(done); });
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 1);
}

TEST(Profile, AThrowingProgressStopsIt) {
  const auto stop = [](double done, const std::string&) {
    if (done > 0) throw Error("stopped");
  };
  EXPECT_THROW((void)profile(tiny(), two_lanes(), kShort, stop), Error);
}

TEST(Profile, RefusesWhatItCannotMeasure) {
  EXPECT_THROW((void)profile({}, two_lanes(), kShort), Error);
  EXPECT_THROW((void)profile(tiny(), {}, kShort), Error);
  Cluster gpu = two_lanes();
  gpu.devices[1].kind = "cuda";
  EXPECT_THROW((void)profile(tiny(), gpu, kShort), Error);
  Workload bad = tiny();
  bad.jobs[1].model.heads = 5;
  EXPECT_THROW((void)profile(bad, two_lanes(), kShort), Error);
}

}  // namespace
}  // namespace shardlab
