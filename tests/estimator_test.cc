#include "fit/estimator.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "fit/guess.h"
#include "fit/layer_work.h"
#include "models/layer_sizes.h"
#include "tests/error_of.h"
#include "tests/lawful_profile.h"

namespace shardlab {
namespace {

Shape gpt(int batch, int width = 256, int layers = 6) {
  return {{Architecture::kGpt, layers, width, 4, 64, 0.1, Precision::kFp32},
          OptimizerKind::kAdamW,
          batch};
}

std::vector<ModelProfile> measured(const std::vector<int>& batches) {
  std::vector<ModelProfile> models;
  for (const int batch : batches) models.push_back(lawful(gpt(batch)));
  return models;
}

TEST(Estimator, FindsTheLawBetweenMeasuredBatchesAndBeyond) {
  const Estimator estimator(measured({2, 8, 32}));
  for (const int batch : {1, 4, 16, 64}) {
    const ModelProfile made = estimator.estimate(gpt(batch));
    EXPECT_NEAR(minibatch_time(made) / minibatch_time(lawful(gpt(batch))), 1, 1e-3) << batch;
    EXPECT_TRUE(made.interval.has_value());
  }
}

TEST(Estimator, MicrobatchNeverCostsItsShareOfAMinibatch) {
  const Estimator estimator(measured({8, 32}));
  const double whole = minibatch_time(lawful(gpt(8)));
  EXPECT_GT(minibatch_time(estimator.estimate(gpt(1))), 1.5 * whole / 8)
      << "kernels are launched and parameters stepped however small the batch is";
}

TEST(Estimator, WidthsAndDepthsThatWereNotMeasuredFollowTheLaw) {
  std::vector<ModelProfile> models = measured({4, 16});
  models.push_back(lawful(gpt(8, 512)));
  const Estimator estimator(models);
  for (const Shape& shape : {gpt(8, 384), gpt(4, 256, 12), gpt(8, 768, 3)}) {
    const ModelProfile made = estimator.estimate(shape);
    EXPECT_EQ(made.layers.size(), static_cast<std::size_t>(shape.layers()));
    EXPECT_NEAR(minibatch_time(made) / minibatch_time(lawful(shape)), 1, 0.01)
        << shape.model.width << "x" << shape.model.layers;
  }
}

TEST(Estimator, LoadedKeepsItsMedianFactorWhateverOneLayerSays) {
  std::vector<ModelProfile> models = measured({4, 16});
  for (ModelProfile& model : models) model.layers.back().loaded.backward.median *= 300;
  const ModelProfile made = Estimator(models).estimate(gpt(8));
  const LayerTimes& alone = made.layers.back().alone;
  const LayerTimes& loaded = made.layers.back().loaded;
  EXPECT_NEAR(seconds(loaded.backward.median) / seconds(alone.backward.median), 1.1, 0.01);
}

TEST(Estimator, EverySizeIsHeldOutOnce) {
  const Estimator estimator(measured({2, 8, 32}));
  ASSERT_EQ(estimator.held_out().size(), 3U);
  for (const HeldOut& each : estimator.held_out()) EXPECT_LT(each.error(), 0.05);
  EXPECT_TRUE(Estimator(measured({8})).held_out().empty());
  EXPECT_FALSE(median_error({}).has_value());
}

TEST(Estimator, IntervalGrowsWithWhatHeldOutSizesMissed) {
  std::vector<ModelProfile> models = measured({1, 4, 16, 64});
  const double calm = *Estimator(models).estimate(gpt(8)).interval;
  for (LayerCost& layer : models[1].layers) {
    layer.alone.forward.median *= 2;
    layer.alone.backward.median *= 2;
  }
  EXPECT_GT(*Estimator(models).estimate(gpt(8)).interval, 2 * calm + 0.1);
}

TEST(Estimator, DepthIsNotKnownBetterThanHeldOutSizes) {
  std::vector<ModelProfile> models = measured({1, 4, 16, 64});
  for (LayerCost& layer : models[1].layers) layer.alone.backward.median *= 2;
  const Estimator estimator(models);
  const double missed = *median_error(estimator.held_out());
  EXPECT_GT(missed, 0.05);
  EXPECT_GE(*estimator.estimate(gpt(1, 256, 12)).interval, missed);
}

TEST(Estimator, FromOneSizeTheIntervalIsWhatAnyLawAllows) {
  const ModelProfile made = Estimator(measured({8})).estimate(gpt(4));
  const double time = minibatch_time(made), whole = minibatch_time(lawful(gpt(8)));
  EXPECT_GE(whole, time);
  EXPECT_GE(time * (1 + *made.interval), 0.999 * whole) << "nothing need depend on the batch";
  EXPECT_LE(time / (1 + *made.interval), 0.6 * whole) << "nearly everything may";
  const ModelProfile deeper = Estimator(measured({8})).estimate(gpt(8, 256, 12));
  EXPECT_LT(*deeper.interval, 0.01) << "blocks are alike";
}

TEST(Estimator, AnotherDeviceTakesWhatItsRatesSay) {
  const Estimator estimator(measured({2, 8, 32}));
  const ModelProfile here = lawful(gpt(8));
  const ModelProfile there = estimator.on_device(here, {4, 4});
  const Rates slower{kLawful.kernel, 4 * kLawful.flop, 4 * kLawful.byte};
  EXPECT_NEAR(minibatch_time(there) / minibatch_time(lawful(gpt(8), slower)), 1, 0.05);
  EXPECT_GE(*there.interval, kReachedSpread);
}

TEST(Estimator, NamesWhatItCannotStartFrom) {
  const Estimator estimator(measured({8}));
  Shape other = gpt(8);
  other.model.precision = Precision::kBf16;
  const std::string error = error_of([&] { (void)estimator.estimate(other); });
  EXPECT_NE(error.find("no costs to estimate gpt 6x256"), std::string::npos) << error;
  EXPECT_NE(error.find("bf16"), std::string::npos) << error;
}

TEST(Estimator, AVitStartsFromVitsOnly) {
  const Estimator estimator(measured({8}));
  Shape vit = gpt(8);
  vit.model.architecture = Architecture::kVit;
  EXPECT_NE(error_of([&] { (void)estimator.estimate(vit); }), "");
  EXPECT_NO_THROW((void)Estimator({lawful(vit)}).estimate(vit));
}

TEST(LayerWork, ParametersAreThoseOfTheModels) {
  for (const auto architecture :
       {Architecture::kMlp, Architecture::kGpt, Architecture::kBert, Architecture::kVit}) {
    Shape shape = gpt(8);
    shape.model.architecture = architecture;
    if (architecture == Architecture::kMlp) shape.model.heads = 1;
    const auto sizes = layer_sizes(shape.model, shape.batch, shape.optimizer);
    for (int layer = 0; layer < shape.layers(); ++layer) {
      const LayerCost& exact = sizes[static_cast<std::size_t>(layer)];
      // Each parameter begins on a cache line.
      EXPECT_NEAR(parameter_bytes(shape.model, kind_of(shape.model, layer)), exact.parameters, 128)
          << to_string(architecture) << " " << exact.name;
    }
  }
}

class ByteFits : public testing::TestWithParam<Precision> {};

TEST_P(ByteFits, AreExactFromTwoBatchesAndNeverTooSmallFromOne) {
  const auto shape = [](int batch, int width) {
    Shape made = gpt(batch, width);
    made.model.precision = GetParam();
    return made;
  };
  const Estimator two({lawful(shape(4, 256)), lawful(shape(32, 256))});
  const Estimator one({lawful(shape(8, 256))});
  for (const int batch : {4, 16, 32, 64}) {
    const ModelProfile truth = lawful(shape(batch, 256));
    const ModelProfile line = two.estimate(shape(batch, 256));
    const ModelProfile bound = one.estimate(shape(batch, 256));
    for (std::size_t i = 0; i < truth.layers.size(); ++i) {
      EXPECT_EQ(line.layers[i].parameters, truth.layers[i].parameters);
      EXPECT_EQ(line.layers[i].output, truth.layers[i].output);
      EXPECT_EQ(line.layers[i].saved, truth.layers[i].saved) << batch;
      EXPECT_GE(line.layers[i].backward_workspace, truth.layers[i].backward_workspace);
      EXPECT_GE(bound.layers[i].saved, truth.layers[i].saved) << batch << " layer " << i;
      EXPECT_GE(bound.layers[i].forward_workspace, truth.layers[i].forward_workspace);
      EXPECT_GE(bound.layers[i].backward_workspace, truth.layers[i].backward_workspace) << batch;
    }
  }
  const ModelProfile narrow = one.estimate(shape(8, 128)), truth = lawful(shape(8, 128));
  for (std::size_t i = 0; i < truth.layers.size(); ++i) {
    EXPECT_GE(narrow.layers[i].saved, truth.layers[i].saved);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, ByteFits, testing::Values(Precision::kFp32, Precision::kBf16));

}  // namespace
}  // namespace shardlab
