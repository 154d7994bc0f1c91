#include "models/shard_pass.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/optimizer.h"
#include "models/text_data.h"
#include "models/validate.h"
#include "tests/plain_training.h"
#include "tests/small_images.h"

namespace shardlab {
namespace {

constexpr int kBatch = 3;
constexpr int kSteps = 3;
constexpr std::uint64_t kSeed = 5;

struct Case {
  std::string name;
  ModelSpec spec;
  OptimizerSpec optimizer;
};

using Trained = PlainResult;

TextData sample_data(const ModelSpec& spec) {
  if (spec.architecture == Architecture::kVit) return small_images(20);
  std::string text;
  for (int i = 0; i < 500; ++i) text += static_cast<char>('a' + i * i % 23);
  return {"text", text};
}

/// Tokens and targets of one minibatch.
struct Minibatch {
  std::vector<std::int64_t> input, target;
  Minibatch(const ModelSpec& spec, std::int64_t step)
      : input(static_cast<std::size_t>(kBatch * inputs_per_sequence(spec))),
        target(static_cast<std::size_t>(kBatch * targets_per_sequence(spec))) {
    sample_data(spec).batch(spec, kBatch, kSeed, step, input, target);
  }
};

Trained train_whole(const Case& item) {
  const TextData text = sample_data(item.spec);
  Job job{"job", item.spec, kBatch, item.optimizer, kSteps, kSeed, ""};
  return PlainTraining(job, text).run();
}

struct Shard {
  ShardPass pass;
  std::vector<float> storage;
  float* parameters;  // On a cache line, as in an arena.
  std::vector<float> state;
};

std::vector<Shard> cut(const Case& item, const Model& model, const std::vector<int>& first_layer) {
  std::vector<Shard> shards;
  for (std::size_t i = 0; i < first_layer.size(); ++i) {
    const int last = i + 1 < first_layer.size() ? first_layer[i + 1] : model.layers();
    const ShardPass pass(model, first_layer[i], last);
    const auto floats = static_cast<std::size_t>(pass.parameter_floats());
    shards.push_back(
        {pass, std::vector<float>(floats + kParameterGrain), nullptr,
         std::vector<float>(floats * static_cast<std::size_t>(state_factor(item.optimizer.kind)))});
    Shard& shard = shards.back();
    void* aligned = shard.storage.data();
    std::size_t room = shard.storage.size() * sizeof(float);
    shard.parameters = static_cast<float*>(std::align(64, floats * sizeof(float), aligned, room));
    pass.initialize(kSeed, {shard.parameters, floats});
  }
  return shards;
}

Trained train_sharded(const Case& item, const std::vector<int>& first_layer) {
  const Model model(item.spec);
  std::vector<Shard> shards = cut(item, model, first_layer);
  Trained result;
  for (int s = 0; s < kSteps; ++s) {
    const Minibatch data(item.spec, s);
    const PassKey key{kSeed, s, 0};
    std::vector<at::Tensor> boundary = {view_tokens(data.input, kBatch)};
    for (std::size_t i = 0; i + 1 < shards.size(); ++i) {
      boundary.push_back(shards[i].pass.forward(shards[i].parameters, boundary.back(), key));
      EXPECT_EQ(boundary.back().numel(), boundary_elements(item.spec, kBatch));
      EXPECT_EQ(boundary.back().scalar_type(), at::kFloat);
      EXPECT_FALSE(boundary.back().requires_grad());
    }
    const at::Tensor target = view_tokens(data.target, kBatch);
    at::Tensor gradient;
    for (std::size_t i = shards.size(); i-- > 0;) {
      Shard& shard = shards[i];
      Gradients gradients =
          shard.pass.makes_loss()
              ? shard.pass.backward(shard.pass.record(shard.parameters, boundary[i], target, key))
              : shard.pass.backward(shard.pass.record(shard.parameters, boundary[i], key),
                                    gradient);
      if (shard.pass.makes_loss()) result.losses.push_back(gradients.loss);
      shard.pass.step(item.optimizer, s + 1, gradients, shard.parameters, shard.state.data());
      EXPECT_EQ(gradients.input.empty(), i == 0);
      if (i == 0) break;
      gradient = gradients.input.front();
      EXPECT_EQ(gradient.scalar_type(), at::kFloat);
    }
  }
  for (const Shard& shard : shards) {
    result.weights.insert(result.weights.end(), shard.parameters,
                          shard.parameters + shard.pass.parameter_floats());
  }
  return result;
}

ModelSpec with_batch_norm(ModelSpec spec) {
  spec.batch_norm = true;
  return spec;
}

ModelSpec in_bf16(ModelSpec spec) {
  spec.precision = Precision::kBf16;
  return spec;
}

const OptimizerSpec kAdamW{OptimizerKind::kAdamW, 1e-2, 0, 0.01};
const OptimizerSpec kSgd{OptimizerKind::kSgd, 1e-1, 0.9, 0};

class ShardPassCut : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};

TEST_P(ShardPassCut, EveryPartitionTrainsToTheSameBits) {
  const Trained whole = train_whole(GetParam());
  EXPECT_LT(whole.losses.back(), whole.losses.front());
  const int layers = chain_length(GetParam().spec);
  std::vector<int> each;
  for (int i = 0; i < layers; ++i) each.push_back(i);
  EXPECT_TRUE(whole == train_sharded(GetParam(), {0}));
  EXPECT_TRUE(whole == train_sharded(GetParam(), {0, 2}));
  EXPECT_TRUE(whole == train_sharded(GetParam(), {0, 1, layers - 1}));
  EXPECT_TRUE(whole == train_sharded(GetParam(), each));
}

INSTANTIATE_TEST_SUITE_P(
    Models, ShardPassCut,
    testing::Values(Case{"mlp", {Architecture::kMlp, 3, 40, 1, 12, 0.1}, kSgd},
                    Case{"mlp_batch_norm", with_batch_norm({Architecture::kMlp, 3, 40, 1, 12, 0.1}),
                         kAdamW},
                    Case{"gpt", {Architecture::kGpt, 3, 48, 3, 24, 0.1}, kAdamW},
                    Case{"gpt_no_dropout", {Architecture::kGpt, 2, 32, 2, 40, 0}, kSgd},
                    Case{"bert", {Architecture::kBert, 2, 48, 3, 24, 0.2}, kAdamW},
                    Case{"vit", {Architecture::kVit, 2, 48, 3, 16, 0.1}, kAdamW}),
    [](const auto& info) { return info.param.name; });

class ShardPassInBf16 : public ShardPassCut {};

TEST_P(ShardPassInBf16, EveryPartitionTrainsToTheSameBitsAndToOthersThanInFp32) {
  const Case plain = GetParam();
  const Case item{plain.name, in_bf16(plain.spec), plain.optimizer};
  const Trained whole = train_sharded(item, {0});
  for (const double loss : whole.losses) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_LT(whole.losses.back(), whole.losses.front());
  std::vector<int> each;
  for (int i = 0; i < chain_length(item.spec); ++i) each.push_back(i);
  EXPECT_TRUE(whole == train_sharded(item, {0, 2}));
  EXPECT_TRUE(whole == train_sharded(item, each));

  const Trained in_fp32 = train_sharded(plain, {0});
  EXPECT_NE(whole.losses, in_fp32.losses);
  EXPECT_NEAR(whole.losses.front(), in_fp32.losses.front(), 0.02 * in_fp32.losses.front());
}

INSTANTIATE_TEST_SUITE_P(
    Models, ShardPassInBf16,
    testing::Values(Case{"mlp", {Architecture::kMlp, 3, 40, 1, 12, 0.1}, kSgd},
                    Case{"gpt", {Architecture::kGpt, 2, 48, 3, 24, 0.1}, kAdamW},
                    Case{"bert", {Architecture::kBert, 2, 48, 3, 24, 0.2}, kAdamW},
                    Case{"vit", {Architecture::kVit, 2, 48, 3, 16, 0.1}, kAdamW}),
    [](const auto& info) { return info.param.name; });

// Half precision ends at 65504.
TEST(ShardPass, InBf16LargeActivationsStayFinite) {
  const Model model(in_bf16({Architecture::kMlp, 1, 40, 1, 12, 0}));
  const ShardPass pass(model, 0, 2);
  const std::vector<float> parameters(static_cast<std::size_t>(pass.parameter_floats()), 300);
  const Minibatch data(model.spec(), 0);
  const at::Tensor boundary = pass.forward(parameters.data(), view_tokens(data.input, kBatch), {});
  EXPECT_TRUE(boundary.isfinite().all().item<bool>());
  EXPECT_GT(boundary.max().item<float>(), 65504);
}

/// Of this thread, for the CPU.
struct Autocast {
  bool enabled = at::autocast::is_autocast_enabled(at::kCPU);
  at::ScalarType type = at::autocast::get_autocast_dtype(at::kCPU);
  bool cache = at::autocast::is_autocast_cache_enabled();

  bool operator==(const Autocast&) const = default;
  void set() const {
    at::autocast::set_autocast_enabled(at::kCPU, enabled);
    at::autocast::set_autocast_dtype(at::kCPU, type);
    at::autocast::set_autocast_cache_enabled(cache);
  }
};

class ShardPassUnderAutocast : public testing::TestWithParam<Precision> {
 protected:
  void TearDown() override { usual.set(); }

  const Autocast usual;
};

TEST_P(ShardPassUnderAutocast, LeavesTheThreadsStateAsItWasEvenWhenItThrows) {
  ModelSpec spec{Architecture::kGpt, 1, 16, 2, 8, 0};
  spec.precision = GetParam();
  const Model model(spec);
  const ShardPass pass(model, 0, 2);
  std::vector<float> parameters(static_cast<std::size_t>(pass.parameter_floats()));
  pass.initialize(1, parameters);
  const Minibatch data(spec, 0);
  const at::Tensor input = view_tokens(data.input, kBatch);
  const at::Tensor expected = pass.forward(parameters.data(), input, {});
  EXPECT_EQ(Autocast(), usual);
  const at::Tensor wrong = at::full({kBatch, 8}, 9999, at::kLong);  // No such token.
  for (const Autocast& before : {usual, Autocast{true, at::kHalf, true}}) {
    before.set();
    EXPECT_TRUE(expected.equal(pass.forward(parameters.data(), input, {})))
        << "a model's precision is its own, whatever the thread's";
    EXPECT_EQ(Autocast(), before);
    EXPECT_EQ(pass.record(parameters.data(), input, {}).output.size(), 1U);
    EXPECT_EQ(Autocast(), before);
    EXPECT_ANY_THROW((void)pass.forward(parameters.data(), wrong, {}));
    EXPECT_EQ(Autocast(), before);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, ShardPassUnderAutocast,
                         testing::Values(Precision::kFp32, Precision::kBf16),
                         [](const auto& info) { return to_string(info.param); });

TEST(ShardPass, EvaluateGivesTheLossOfTheRecording) {
  const Model model({Architecture::kGpt, 1, 16, 2, 8, 0});
  const ShardPass pass(model, 0, model.layers());
  std::vector<float> parameters(static_cast<std::size_t>(pass.parameter_floats()));
  pass.initialize(1, parameters);
  const Minibatch data(model.spec(), 0);
  const at::Tensor input = view_tokens(data.input, kBatch);
  const at::Tensor target = view_tokens(data.target, kBatch);
  EXPECT_EQ(pass.evaluate(parameters.data(), input, target, {}),
            pass.backward(pass.record(parameters.data(), input, target, {})).loss);
}

TEST(ShardPass, GptSeesNoLaterByteAndBertDoes) {
  for (const auto architecture : {Architecture::kGpt, Architecture::kBert}) {
    const Model model({architecture, 2, 32, 2, 8, 0});
    const ShardPass pass(model, 0, model.layers() - 1);
    std::vector<float> parameters(static_cast<std::size_t>(pass.parameter_floats()));
    pass.initialize(1, parameters);
    std::vector<std::int64_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8};
    const at::Tensor before = pass.forward(parameters.data(), view_tokens(tokens, 1), {});
    tokens.back() = 99;
    const at::Tensor after = pass.forward(parameters.data(), view_tokens(tokens, 1), {});
    EXPECT_EQ(before.slice(1, 0, 7).equal(after.slice(1, 0, 7)),
              architecture == Architecture::kGpt);
    EXPECT_FALSE(before.equal(after));
  }
}

TEST(ShardPass, RefusesLayersThatAreNoShard) {
  const Model model({Architecture::kMlp, 1, 8, 1, 4, 0});
  EXPECT_THROW(ShardPass(model, 1, 1), Error);
  EXPECT_THROW(ShardPass(model, 0, 4), Error);
  EXPECT_THROW(Model({Architecture::kGpt, 1, 9, 2, 4, 0}), Error);
}

}  // namespace
}  // namespace shardlab
