#include "core/parallel.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace shardlab {
namespace {

TEST(ParallelFor, CallsEveryIndexOnce) {
  for (const std::size_t threads : {0u, 1u, 2u, 7u}) {
    for (const std::size_t count : {0u, 1u, 5u, 1000u}) {
      std::vector<int> calls(count);
      parallel_for(count, threads, [&](std::size_t i) { ++calls[i]; });
      EXPECT_EQ(calls, std::vector<int>(count, 1)) << count << " on " << threads;
    }
  }
}

TEST(ParallelFor, RethrowsAndBeginsNothingMore) {
  std::atomic<int> calls = 0;
  EXPECT_THROW(parallel_for(1'000'000, 2,
                            [&](std::size_t i) {
                              ++calls;
                              if (i == 10) throw Error("made to fail");
                            }),
               Error);
  EXPECT_LT(calls, 1'000'000);
}

}  // namespace
}  // namespace shardlab
