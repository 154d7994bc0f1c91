#include "models/dropout.h"

#include <cstddef>
#include <span>
#include <vector>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

std::vector<float> mask(const DropoutKey& key, double probability = 0.25,
                        std::size_t size = 100'000) {
  std::vector<float> values(size);
  dropout_mask(key, probability, 0, values);
  return values;
}

double dropped(std::span<const float> values) {
  std::size_t zeros = 0;
  for (const float value : values) zeros += value == 0 ? 1 : 0;
  return static_cast<double>(zeros) / static_cast<double>(values.size());
}

TEST(Dropout, DropsTheGivenShareAndScalesTheRest) {
  const std::vector<float> values = mask({.seed = 1});
  EXPECT_NEAR(dropped(values), 0.25, 0.01);
  for (const float value : values) ASSERT_TRUE(value == 0 || value == static_cast<float>(1 / 0.75));
}

TEST(Dropout, DropsNothingWithProbabilityZero) { EXPECT_EQ(dropped(mask({.seed = 1}, 0)), 0); }

TEST(Dropout, IsTheSameHoweverItIsCutIntoCalls) {
  const DropoutKey key{.seed = 7, .step = 3, .microbatch = 2, .layer = 5, .site = 1};
  const std::vector<float> whole = mask(key, 0.5, 1000);
  std::vector<float> pieces(1000);
  const std::span<float> all = pieces;
  dropout_mask(key, 0.5, 0, all.first(1));
  dropout_mask(key, 0.5, 1, all.subspan(1, 600));
  dropout_mask(key, 0.5, 601, all.subspan(601));
  EXPECT_EQ(whole, pieces);
}

TEST(Dropout, MasksOfKeysThatDifferInOnePartAreIndependent) {
  const DropoutKey key{.seed = 7, .step = 3, .microbatch = 2, .layer = 5, .site = 1};
  std::vector<DropoutKey> others(5, key);
  others[0].seed++;
  others[1].step++;
  others[2].microbatch++;
  others[3].layer++;
  others[4].site++;
  const std::vector<float> first = mask(key, 0.5);
  for (const DropoutKey& other : others) {
    std::vector<float> both = mask(other, 0.5);
    for (std::size_t i = 0; i < both.size(); ++i) both[i] *= first[i];
    EXPECT_NEAR(dropped(both), 0.75, 0.01);  // Kept by both: a quarter.
  }
}

TEST(Dropout, NeighbouringElementsAreIndependent) {
  for (const std::size_t apart : {1U, 2U, 64U, 256U, 4096U}) {
    std::vector<float> values = mask({.seed = 11}, 0.5);
    for (std::size_t i = 0; i + apart < values.size(); ++i) values[i] *= values[i + apart];
    values.resize(values.size() - apart);
    EXPECT_NEAR(dropped(values), 0.75, 0.01) << apart;
  }
}

}  // namespace
}  // namespace shardlab
