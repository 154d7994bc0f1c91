#include "traces/early_stop.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

/// Two jobs, of 9 and 20 minibatches, after `table`.
std::string workload(const std::string& table, const std::string& more = "") {
  return table + "[defaults]\nmodel = \"mlp\"\nlayers = 2\nwidth = 8\ncontext = 16\nbatch = 4\n" +
         more + "[[job]]\nname = \"a\"\nminibatches = 9\n[[job]]\nname = \"b\"\nminibatches = 20\n";
}

Workload parse(const std::string& text) { return parse_workload(text, "dir/w.toml"); }

std::string error(const std::string& table) {
  return error_of([&] { parse(workload("[early_stop]\n" + table)); });
}

TEST(EarlyStop, ReadsEveryKey) {
  const auto how = parse(workload("[early_stop]\nmethod = \"asha\"\neta = 4\nmin = 2\nmax = 8\n"
                                  "curves = \"c.csv\"\n"))
                       .early_stop;
  ASSERT_TRUE(how.has_value());
  EXPECT_EQ(how->method, StopMethod::kAsha);
  EXPECT_EQ(how->eta, 4);
  EXPECT_EQ(how->least, 2);
  EXPECT_EQ(how->most, 8);
  EXPECT_EQ(how->curves_file, "dir/c.csv");
}

TEST(EarlyStop, HasDefaults) {
  EXPECT_FALSE(parse(workload("")).early_stop.has_value());
  const auto how = parse(workload("[early_stop]\nmethod = \"hyperband\"\nseed = 7\n")).early_stop;
  EXPECT_EQ(how->eta, 3);
  EXPECT_EQ(how->least, 1);
  EXPECT_EQ(how->most, 9);  // So far every job can go.
  EXPECT_EQ(how->seed, 7u);
}

TEST(EarlyStop, NamesWhatIsWrong) {
  EXPECT_EQ(error(""), "dir/w.toml:1: method: missing in [early_stop]");
  EXPECT_EQ(error("method = \"asa\"\n"),
            "dir/w.toml:2: method: \"asa\" is no method; there are successive_halving, asha and "
            "hyperband");
  const std::string asha = "method = \"asha\"\n";
  EXPECT_EQ(error(asha + "eta = 1\n"), "dir/w.toml:3: eta: must be at least 2, is 1");
  EXPECT_EQ(
      error(asha + "max = 10\n"),
      "dir/w.toml:3: max: is 10, but a has only 9 minibatches; every job must be able to go so "
      "far");
  EXPECT_EQ(error(asha + "min = 9\n"),
            "dir/w.toml:1: min: is 9, which must be below max, which is 9");
  EXPECT_EQ(error("method = \"hyperband\"\nmin = 1\n"),
            "dir/w.toml:3: min: hyperband has none: its brackets begin at 1, eta, eta^2, ...");
  EXPECT_EQ(error(asha + "curves = \"c.csv\"\nseed = 1\n"),
            "dir/w.toml:4: seed: losses come from the curves; take one out");
  EXPECT_EQ(error(asha + "curve = \"c.csv\"\n"),
            "dir/w.toml:3: curve: unknown key; did you mean \"curves\"?");
}

TEST(StopAfter, IsAKeyOfAJob) {
  const Workload read = parse(workload("", "stop_after = [1, 8]\n"));
  ASSERT_EQ(read.jobs.size(), 4u);
  EXPECT_EQ(read.jobs[1].stop_after, 8);
  EXPECT_EQ(error_of([] { parse(workload("", "stop_after = 9\n")); }),
            "dir/w.toml:7: stop_after: 9 is no early stop: the job has 9 minibatches");
  EXPECT_EQ(
      error_of([] { parse(workload("[early_stop]\nmethod = \"asha\"\n", "stop_after = 2\n")); }),
      "dir/w.toml:1: early_stop: a has a stop_after too; take one out");
}

}  // namespace
}  // namespace shardlab
