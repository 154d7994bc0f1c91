#include "models/optimizer.h"

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace shardlab {
namespace {

constexpr std::int64_t kSize = 1003;  // Not a multiple of any vector length.
constexpr int kSteps = 5;

std::span<float> flat(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// Largest difference from `oracle` after kSteps, relative to the largest weight.
template <typename Oracle, typename Options>
double difference(const OptimizerSpec& spec, const Options& options) {
  torch::manual_seed(1);
  torch::Tensor theirs = torch::randn({kSize}).set_requires_grad(true);
  const torch::Tensor ours = theirs.detach().clone();
  std::vector<float> state(static_cast<std::size_t>(kSize * state_factor(spec.kind)));
  Oracle oracle({theirs}, options);
  for (int i = 1; i <= kSteps; ++i) {
    theirs.mutable_grad() = torch::randn({kSize});
    step(spec, i, flat(ours), flat(theirs.grad()), state);
    oracle.step();
  }
  return ((ours - theirs).abs().max() / theirs.abs().max()).template item<double>();
}

// Not bit-exact: see models/optimizer.cc.
TEST(Optimizer, SgdAgreesWithTorch) {
  const OptimizerSpec spec{OptimizerKind::kSgd, 0.05, 0.9, 0.01};
  const double error = difference<torch::optim::SGD>(
      spec, torch::optim::SGDOptions(0.05).momentum(0.9).weight_decay(0.01));
  EXPECT_LE(error, 1e-6);
}

TEST(Optimizer, AdamWAgreesWithTorch) {
  const OptimizerSpec spec{OptimizerKind::kAdamW, 1e-3, 0, 0.1};
  const double error =
      difference<torch::optim::AdamW>(spec, torch::optim::AdamWOptions(1e-3).weight_decay(0.1));
  EXPECT_LE(error, 1e-6);
}

TEST(Optimizer, IsTheSameHoweverItIsCutIntoCalls) {
  torch::manual_seed(2);
  for (const OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    const OptimizerSpec spec{kind, 1e-2, 0.9, 0.1};
    const torch::Tensor whole = torch::randn({kSize});
    const torch::Tensor pieces = whole.clone();
    std::vector<float> whole_state(static_cast<std::size_t>(kSize * state_factor(kind)));
    std::vector<float> pieces_state = whole_state;
    for (int i = 1; i <= kSteps; ++i) {
      const torch::Tensor gradient = torch::randn({kSize});
      step(spec, i, flat(whole), flat(gradient), whole_state);
      for (const auto& [from, size] : {std::pair{0, 3}, {3, 600}, {603, 400}}) {
        step_range(
            spec, i, from, flat(pieces),
            flat(gradient).subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(size)),
            pieces_state);
      }
    }
    EXPECT_TRUE(whole.equal(pieces));
    EXPECT_EQ(whole_state, pieces_state);
  }
}

}  // namespace
}  // namespace shardlab
