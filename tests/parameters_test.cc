#include "models/parameters.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "models/validate.h"

namespace shardlab {
namespace {

const std::vector<ParameterSpec> kSpecs = {{"gain", {5}, Initial::kOne},
                                           {"weight", {100, 201}, Initial::kNormal, 0.02}};

std::vector<float> initial(std::uint64_t seed, int layer) {
  std::vector<float> flat(static_cast<std::size_t>(padded_elements(kSpecs)), 7.0F);
  initialize(kSpecs, seed, layer, flat);
  return flat;
}

TEST(Parameters, EachStartsOnACacheLineAndPaddingIsZero) {
  EXPECT_EQ(padded_elements(kSpecs), 16 + 20112);
  const std::vector<float> flat = initial(1, 2);
  EXPECT_EQ(flat[4], 1);
  EXPECT_EQ(flat[5], 0);
  EXPECT_NE(flat[16], 0);
  EXPECT_EQ(flat.back(), 0);
}

TEST(Parameters, NormalsHaveTheirDeviation) {
  const std::vector<float> flat = initial(1, 2);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 16; i < 16 + 20100; ++i) {
    sum += flat[i];
    squares += flat[i] * flat[i];
  }
  EXPECT_NEAR(sum / 20100, 0, 0.0005);
  EXPECT_NEAR(std::sqrt(squares / 20100), 0.02, 0.0005);
}

TEST(Parameters, DependOnSeedAndLayerOnly) {
  EXPECT_EQ(initial(1, 2), initial(1, 2));
  EXPECT_NE(initial(1, 2), initial(2, 2));
  EXPECT_NE(initial(1, 2), initial(1, 3));
}

std::string refusal(const ModelSpec& spec) {
  try {
    validate(spec);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Validate, NamesWhatIsWrong) {
  const ModelSpec good{Architecture::kGpt, 2, 64, 4, 32, 0.1};
  EXPECT_EQ(refusal(good), "accepted");
  ModelSpec bad = good;
  bad.layers = 0;
  EXPECT_EQ(refusal(bad), "layers is 0, must be at least 1");
  bad = good;
  bad.heads = 3;
  EXPECT_EQ(refusal(bad), "width 64 is not a multiple of heads 3");
  bad = good;
  bad.dropout = 1;
  EXPECT_EQ(refusal(bad), "dropout is 1, must be at least 0 and below 1");
  bad.dropout = std::nan("");
  EXPECT_EQ(refusal(bad), "dropout is nan, must be at least 0 and below 1");
  bad = good;
  bad.architecture = Architecture::kMlp;
  EXPECT_EQ(refusal(bad), "heads is 4, but an mlp has no attention: leave it out");
}

}  // namespace
}  // namespace shardlab
