#include "models/batch_norm.h"

#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/optimizer.h"
#include "models/shard_pass.h"
#include "tests/plain_training.h"

namespace shardlab {
namespace {

constexpr std::int64_t kRows = 6, kWidth = 5;

at::Tensor leaf(const at::Tensor& values) { return values.clone().set_requires_grad(true); }

struct Norm {
  at::Tensor weight = leaf(at::linspace(0.5, 1.5, kWidth)), bias = leaf(at::full({kWidth}, 0.1));
  at::Tensor mean = leaf(at::zeros({kWidth})), variance = leaf(at::ones({kWidth}));

  [[nodiscard]] at::Tensor forward(const at::Tensor& x) const {
    return batch_norm(x, {weight, bias, mean, variance});
  }
};

at::Tensor batch(int number) {
  return at::sin(at::arange(kRows * kWidth) * (1.3 + number)).view({kRows, kWidth}) + number;
}

std::span<float> values(const at::Tensor& of) {
  return {of.data_ptr<float>(), static_cast<std::size_t>(of.numel())};
}

TEST(BatchNorm, OutputAndGradientsAreThoseOfLibTorch) {
  const Norm norm;
  const at::Tensor x = leaf(batch(1)), same = leaf(batch(1)), factor = batch(2);
  const at::Tensor weight = leaf(norm.weight.detach()), bias = leaf(norm.bias.detach());
  const at::Tensor ours = norm.forward(x);
  const at::Tensor theirs = at::batch_norm(same, weight, bias, {}, {}, true, 0.1, 1e-5, false);
  EXPECT_TRUE(at::equal(ours, theirs));
  (ours * factor).sum().backward();
  (theirs * factor).sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), same.grad()));
  EXPECT_TRUE(at::equal(norm.weight.grad(), weight.grad()));
  EXPECT_TRUE(at::equal(norm.bias.grad(), bias.grad()));
}

TEST(BatchNorm, StatisticsMoveAsThoseOfLibTorchHoweverOftenAForwardRuns) {
  const Norm norm;
  const at::Tensor mean = at::zeros({kWidth}), variance = at::ones({kWidth});
  for (int number = 0; number < 4; ++number) {
    const at::Tensor x = batch(number);
    {
      const at::NoGradGuard no_graph;
      static_cast<void>(norm.forward(x));  // As a forward unit does before a backward repeats it.
    }
    norm.forward(x).sum().backward();
    for (const at::Tensor* each : {&norm.mean, &norm.variance}) {
      const at::NoGradGuard no_graph;
      move_statistic(values(*each), values(each->grad()));
      each->mutable_grad().reset();
    }
    static_cast<void>(at::batch_norm(x, norm.weight.detach(), norm.bias.detach(), mean, variance,
                                     true, kStatisticMomentum, 1e-5, false));
  }
  EXPECT_TRUE(at::allclose(norm.mean, mean, 1e-6, 1e-7));
  EXPECT_TRUE(at::allclose(norm.variance, variance, 1e-6, 1e-7));
  EXPECT_FALSE(at::allclose(norm.mean, at::zeros({kWidth})));
}

TEST(BatchNorm, WritesNothingByItself) {
  const Norm norm;
  static_cast<void>(norm.forward(batch(3)));
  EXPECT_TRUE(at::equal(norm.mean, at::zeros({kWidth})));
  EXPECT_TRUE(at::equal(norm.variance, at::ones({kWidth})));
}

TEST(BatchNorm, OneRowIsRefused) {
  const Norm norm;
  EXPECT_THROW(static_cast<void>(norm.forward(batch(0).narrow(0, 0, 1))), Error);
}

/// Of an mlp that trains whole; see tests/plain_training.h.
TEST(BatchNorm, AModelThatTrainsHasStatisticsOfItsBatchesAndDecaysNone) {
  std::string letters;
  for (int i = 0; i < 400; ++i) letters += static_cast<char>('a' + i * i % 23);
  const TextData text("text", letters);
  Job job;
  job.model = {Architecture::kMlp, 1, 8, 1, 4, 0};
  job.model.batch_norm = true;
  job.batch = 4;
  job.minibatches = 3;
  const Model model(job.model);
  const ShardPass block(model, 1, 2);
  const std::vector<float> before = [&] {
    std::vector<float> made(static_cast<std::size_t>(block.parameter_floats()));
    block.initialize(job.seed, made);
    return made;
  }();
  const PlainResult plain = PlainTraining(job, text).run();
  job.optimizer.weight_decay = 0.5;
  job.optimizer.learning_rate = 1e-30;  // What is left is what is no gradient's.
  const PlainResult still = PlainTraining(job, text).run();
  const auto first = static_cast<std::size_t>(ShardPass(model, 0, 1).parameter_floats());
  const std::size_t mean = first + 64 + 3 * 16, variance = mean + 16;  // Padded to 16 floats.
  EXPECT_EQ(before[mean - first], 0);
  EXPECT_EQ(before[variance - first], 1);
  EXPECT_NE(still.weights[mean], 0);
  // Three steps of 0.1 take the first value to 0.729 of it, beside what the batches have.
  EXPECT_GT(still.weights[variance], 0.729);
  EXPECT_NE(plain.weights[mean], still.weights[mean]);
}

}  // namespace
}  // namespace shardlab
