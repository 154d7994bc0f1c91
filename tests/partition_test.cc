#include "policies/partition.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "sched/shard_cost.h"
#include "tests/error_of.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

ModelProfile drawn_model(int layers, std::uint64_t seed) {
  return instances::draw({.jobs = 1, .shards = layers, .longest = 50, .largest = 40}, seed)
      .profile.models.front();
}

int last_of(const ModelProfile& model, const std::vector<int>& firsts, std::size_t s) {
  return s + 1 < firsts.size() ? firsts[s + 1] : static_cast<int>(model.layers.size());
}

Duration longest_shard(const ModelProfile& model, const std::vector<int>& firsts) {
  Duration longest{};
  for (std::size_t s = 0; s < firsts.size(); ++s) {
    longest = std::max(longest, shard_time(model, firsts[s], last_of(model, firsts, s)));
  }
  return longest;
}

bool fits(const ModelProfile& model, const std::vector<int>& firsts, Bytes limit) {
  for (std::size_t s = 0; s < firsts.size(); ++s) {
    if (shard_cost(model, firsts[s], last_of(model, firsts, s)).peak() > limit) return false;
  }
  return true;
}

/// All ways to cut `layers` layers: bit i of `cuts` cuts below layer i + 1.
std::vector<int> partition_of(unsigned cuts, int layers) {
  std::vector<int> firsts{0};
  for (int i = 1; i < layers; ++i) {
    if ((cuts >> (i - 1)) & 1u) firsts.push_back(i);
  }
  return firsts;
}

TEST(Balanced, LongestShardIsAsShortAsAnyPartitionHasIt) {
  constexpr int kLayers = 9;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const ModelProfile model = drawn_model(kLayers, seed);
    std::vector<Duration> best(kLayers + 1, Duration::max());
    for (unsigned cuts = 0; cuts < 1u << (kLayers - 1); ++cuts) {
      const auto firsts = partition_of(cuts, kLayers);
      best[firsts.size()] = std::min(best[firsts.size()], longest_shard(model, firsts));
    }
    for (int shards = 1; shards <= kLayers; ++shards) {
      const auto firsts = balanced(model, shards);
      ASSERT_EQ(firsts.size(), static_cast<std::size_t>(shards));
      ASSERT_EQ(firsts.front(), 0);
      ASSERT_EQ(std::adjacent_find(firsts.begin(), firsts.end(), std::greater_equal<>()),
                firsts.end());
      ASSERT_EQ(longest_shard(model, firsts), best[firsts.size()]) << seed << ", " << shards;
    }
  }
}

TEST(Balanced, UnderMemoryItIsTheBestOfThosePartitionsThatFit) {
  constexpr int kLayers = 8;
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const ModelProfile model = drawn_model(kLayers, seed);
    const Bytes limit = shard_cost(model, 0, kLayers).peak() / 2;
    std::vector<Duration> best(kLayers + 1, Duration::max());
    for (unsigned cuts = 0; cuts < 1u << (kLayers - 1); ++cuts) {
      const auto firsts = partition_of(cuts, kLayers);
      if (!fits(model, firsts, limit)) continue;
      best[firsts.size()] = std::min(best[firsts.size()], longest_shard(model, firsts));
    }
    for (int shards = 1; shards <= kLayers; ++shards) {
      const Duration least = best[static_cast<std::size_t>(shards)];
      if (least == Duration::max()) {
        EXPECT_NE(error_of([&] { balanced(model, shards, limit); }).find("shards do not fit"),
                  std::string::npos);
        ++refused;
        continue;
      }
      const auto firsts = balanced(model, shards, limit);
      ASSERT_TRUE(fits(model, firsts, limit)) << seed << ", " << shards;
      ASSERT_EQ(longest_shard(model, firsts), least) << seed << ", " << shards;
    }
  }
  EXPECT_GE(refused, 40) << "one shard never fits";
}

TEST(Balanced, MoreShardsThanLayersAreRefused) {
  const ModelProfile model = drawn_model(3, 1);
  EXPECT_EQ(error_of([&] { balanced(model, 4); }),
            "a model of 3 layers cannot be cut into 4 shards");
  EXPECT_EQ(error_of([&] { balanced(model, 0); }),
            "a model of 3 layers cannot be cut into 0 shards");
}

// Where no layer's output is larger than another's, a longer shard never needs less, and taking
// layers as long as they fit gives the fewest shards.
TEST(Greedy, HasTheFewestShardsThatFit) {
  constexpr int kLayers = 9;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    ModelProfile model = drawn_model(kLayers, seed);
    for (LayerCost& layer : model.layers) layer.output = 7;
    for (Bytes limit = 150; limit < 1200; limit += 75) {
      std::size_t fewest = 0;
      for (unsigned cuts = 0; cuts < 1u << (kLayers - 1); ++cuts) {
        const auto firsts = partition_of(cuts, kLayers);
        if (!fits(model, firsts, limit)) continue;
        fewest = fewest == 0 ? firsts.size() : std::min(fewest, firsts.size());
      }
      if (fewest == 0) {
        EXPECT_NE(error_of([&] { greedy(model, limit); }), "no error");
        continue;
      }
      const auto firsts = greedy(model, limit);
      ASSERT_TRUE(fits(model, firsts, limit));
      ASSERT_EQ(firsts.size(), fewest) << seed << ", limit " << limit;
    }
  }
}

TEST(Greedy, ModelThatFitsIsOneShard) {
  EXPECT_EQ(greedy(drawn_model(5, 3), kUnlimited), std::vector<int>{0});
}

TEST(Greedy, LayerThatCannotFitIsNamedWithItsBytes) {
  ModelProfile model = drawn_model(4, 2);
  model.layers[2].name = "block 1";
  model.layers[2].parameters = 1 << 20;
  const Bytes needed = shard_cost(model, 2, 3).peak();
  const std::string error = error_of([&] { greedy(model, 4096); });
  EXPECT_EQ(error.find("a shard of layer 2 (block 1) alone needs 2.0 MiB (" +
                       std::to_string(needed) + " bytes), available are 4.0 KiB (4096 bytes)"),
            0u)
      << error;
}

}  // namespace
}  // namespace shardlab
