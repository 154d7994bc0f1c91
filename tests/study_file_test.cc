#include "traces/study_file.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

const std::string kSmallest =
    "name = \"g\"\ninstances = 3\n"
    "[[jobs]]\nname = \"j\"\ncount = 2\nshards = 2\nminibatches = [1, 4]\ntime = \"2 s\"\n"
    "[[devices]]\nname = \"d\"\ncount = 2\n"
    "[[transfer]]\nlink = \"none\"\n";

std::string error(const std::string& text) {
  return error_of([&] { parse_study_grid(text, "g.toml"); });
}

/// The smallest grid with `from` replaced.
std::string error_with(const std::string& from, const std::string& to) {
  std::string text = kSmallest;
  return error(text.replace(text.find(from), from.size(), to));
}

TEST(StudyFile, ReadsEveryKey) {
  const StudyGrid grid = parse_study_grid(
      "name = \"g\"\nabout = \"a\"\ninstances = 3\npolicies = [\"lrtf\", \"fifo\"]\nbaseline = "
      "\"fifo\"\nslots = [1, 4]\nmemory = [4, 6]\nrelative_to = \"r\"\n"
      "[[jobs]]\nname = \"j\"\ncount = 5\nequal = true\nshards = [2, 3]\nminibatches = 7\n"
      "time = [\"2 s\", \"1 min\"]\nspread = 0.5\nbackward = 3\nrecompute = false\n"
      "[[devices]]\nname = \"d\"\ncount = 4\nspeeds = [1, 0.5]\n"
      "[[transfer]]\nlink = \"shared\"\nload = [0.25, 2]\n"
      "[[transfer]]\nlink = \"none\"\n"
      "[[published]]\njobs = \"j\"\ndevices = \"d\"\npolicy = \"lrtf\"\nvalue = 1.01\n",
      "g.toml");
  EXPECT_EQ(grid.about, "a");
  EXPECT_EQ(grid.policies, (std::vector<std::string>{"lrtf", "fifo"}));
  EXPECT_EQ(grid.baseline, "fifo");
  EXPECT_EQ(grid.slots, (std::vector<int>{1, 4}));
  EXPECT_EQ(grid.memory, (std::vector<int>{4, 6}));
  const DrawnJobs& jobs = grid.jobs.at(0);
  EXPECT_TRUE(jobs.equal);
  EXPECT_EQ(jobs.shards.least, 2);
  EXPECT_EQ(jobs.shards.most, 3);
  EXPECT_EQ(jobs.minibatches.least, 7);
  EXPECT_EQ(jobs.minibatches.most, 7);
  EXPECT_EQ(jobs.time.most, Duration{60'000'000'000});
  EXPECT_EQ(jobs.spread, 0.5);
  EXPECT_EQ(jobs.backward, 3);
  EXPECT_FALSE(jobs.recompute);
  EXPECT_EQ(grid.devices.at(0).speeds, (std::vector<double>{1, 0.5}));
  ASSERT_EQ(grid.transfers.size(), 3u);
  EXPECT_EQ(grid.transfers[0].name, "shared 0.25");
  EXPECT_EQ(grid.transfers[1].load, 2);
  EXPECT_EQ(grid.transfers[2].link, LinkKind::kNone);
  EXPECT_EQ(grid.published.at(0).value, 1.01);
  EXPECT_EQ(grid.relative_to, "r");
}

TEST(StudyFile, WhatIsLeftOut) {
  const StudyGrid grid = parse_study_grid(kSmallest, "g.toml");
  EXPECT_TRUE(grid.policies.empty());
  EXPECT_EQ(grid.slots, std::vector<int>{2});
  EXPECT_TRUE(grid.memory.empty());
  EXPECT_EQ(grid.jobs.at(0).backward, 2);
  EXPECT_TRUE(grid.jobs.at(0).recompute);
  EXPECT_EQ(grid.devices.at(0).speeds, std::vector<double>{1});
}

TEST(StudyFile, NamesTheKeyAtFault) {
  EXPECT_EQ(error("polices = [\"lrtf\"]\n" + kSmallest),
            "g.toml:1: polices: unknown key; did you mean \"policies\"?");
  EXPECT_EQ(error_with("shards = 2", "shard = 2"),
            "g.toml:6: shard: unknown key; did you mean \"shards\"?");
  EXPECT_EQ(error_with("count = 2\nshards", "shards"), "g.toml:3: count: missing");
  EXPECT_EQ(error_with("[1, 4]", "[4, 1]"),
            "g.toml:7: minibatches: must be one value, or a list of the least and the most");
  EXPECT_EQ(error_with("\"2 s\"", "\"0 s\""), "g.toml:8: time: must be above 0");
  EXPECT_EQ(error_with("\"none\"", "\"both\""),
            "g.toml:13: link: must be \"none\", \"dedicated\" or \"shared\", is \"both\"");
  EXPECT_EQ(error_with("\"none\"", "\"shared\""), "g.toml:12: load: missing beside this link");
  EXPECT_EQ(error_with("\"none\"\n", "\"none\"\nload = 1\n"),
            "g.toml:14: load: link = \"none\" carries nothing; take this out");
  EXPECT_EQ(error("slots = []\n" + kSmallest),
            "g.toml:1: slots: an empty list; give at least one value");
  EXPECT_EQ(error("slots = [2, 2]\n" + kSmallest), "g.toml: slots: 2 twice; names must differ");
  EXPECT_EQ(error("slots = 4\nmemory = 3\n" + kSmallest),
            "g.toml: memory: none has room for 4 slots; add 4");
  EXPECT_EQ(error(kSmallest + "[[published]]\njobs = \"k\"\n"),
            "g.toml:15: jobs: no [[jobs]] is called k");
}

}  // namespace
}  // namespace shardlab
