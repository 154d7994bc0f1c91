#include "imports/sorted_records.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

struct Numbered {
  int key = 0;
  int arrived = 0;
  [[nodiscard]] int order() const { return key; }
  bool operator==(const Numbered&) const = default;
};

std::vector<Numbered> drawn(int count, int keys) {
  std::mt19937 draw(static_cast<unsigned>(count));
  std::vector<Numbered> all;
  for (int i = 0; i < count; ++i) {
    all.push_back({static_cast<int>(draw() % static_cast<unsigned>(keys)), i});
  }
  return all;
}

std::vector<Numbered> read_all(SortedRecords<Numbered>& records) {
  std::vector<Numbered> all;
  auto reader = records.read();
  while (const Numbered* each = reader.next()) all.push_back(*each);
  EXPECT_EQ(reader.next(), nullptr);
  return all;
}

TEST(SortedRecords, ComeInOrderAndEqualOnesAsTheyCameHoweverFewAreHeld) {
  // One held, of 20 000: runs of runs of runs. 4096 of a run are more than one piece of it.
  for (const auto& [held, count] : std::vector<std::pair<std::size_t, int>>{{1, 0},
                                                                            {1, 1},
                                                                            {1, 63},
                                                                            {1, 64},
                                                                            {1, 65},
                                                                            {1, 20'000},
                                                                            {7, 5000},
                                                                            {4096, 20'000},
                                                                            {20'000, 20'000},
                                                                            {30'000, 20'000}}) {
    for (const int keys : {1, 50, 1'000'000}) {
      SCOPED_TRACE(std::to_string(held) + " held of " + std::to_string(count));
      std::vector<Numbered> expected = drawn(count, keys);
      SortedRecords<Numbered> records(held * sizeof(Numbered));
      for (const Numbered& each : expected) records.add(each);
      EXPECT_EQ(records.size(), count);
      EXPECT_LT(records.runs(), 3U * 64);
      std::ranges::stable_sort(expected, {}, &Numbered::key);
      EXPECT_EQ(read_all(records), expected);
      EXPECT_EQ(read_all(records), expected);  // Again from the beginning.
      SortedRecords<Numbered> moved = std::move(records);
      EXPECT_EQ(read_all(moved), expected);
    }
  }
}

TEST(SortedRecords, SayWhereNoTemporaryFileCanBeMade) {
  const char* const before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", "/no/such/folder", 1);
  SortedRecords<Numbered> records(sizeof(Numbered));
  records.add({});
  EXPECT_EQ(error_of([&] { records.add({}); }),
            "cannot make a temporary file in /no/such/folder: No such file or directory; TMPDIR "
            "names another folder");
  before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
}

}  // namespace
}  // namespace shardlab
