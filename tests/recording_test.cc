#include "cli/recording.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sample_data.h"
#include "traces/profile_file.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLong = std::chrono::minutes(1);

/// What comes back when the other process is that shell script; $1 is the profile it is to add to.
Profile with_script(const std::string& script, Duration limit = kLong) {
  return with_records(sample_profile(), "/bin/sh", {"-c", script}, limit);
}

std::string source(const Profile& profile) {
  return profile.provenance.activity ? profile.provenance.activity->source : "nothing";
}

/// All but the records.
std::string costs(Profile profile) {
  profile.provenance.activity.reset();
  return profile_json(profile);
}

/// It keeps the costs that were measured and says why it has no records.
void expect_none(const Profile& found, const std::string& why) {
  EXPECT_EQ(costs(found), costs(sample_profile()));
  const std::string said = source(found);
  EXPECT_TRUE(said.starts_with("none: ")) << said;
  EXPECT_NE(said.find(why), std::string::npos) << said;
}

class Recording : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "shardlab-recording-test";
};

TEST_F(Recording, TakesWhatTheOtherProcessAdds) {
  Profile added = sample_profile();
  added.provenance.activity = ActivityFacts{.source = "CUPTI activity records", .dropped = 3};
  added.models[0].layers[0].alone.forward.busy = Duration{77'000};
  const std::string path = write("added.json", profile_json(added));
  const Profile found = with_script("[ \"$0\" = --add-records ] && cp " + path + " \"$1\"");
  EXPECT_EQ(profile_json(found), profile_json(added));
}

TEST_F(Recording, OfAProcessThatFailsIsNone) {
  expect_none(with_script("exit 3"), "the process of its own ended with 3");
}

TEST_F(Recording, OfAProcessThatDiesIsNone) {
  expect_none(with_script("kill -KILL $$"),
              std::string("was ended by a signal: ") + strsignal(SIGKILL));
}

TEST_F(Recording, OfAProcessThatHangsIsNoneAfterTheLimit) {
  expect_none(with_script("exec sleep 1000", std::chrono::milliseconds(50)),
              "had not ended after 0.05 s and was killed");
}

TEST_F(Recording, OfAProcessThatWritesHalfAFileIsNone) {
  expect_none(with_script("head -c 300 \"$1\" >\"$1.half\" && mv \"$1.half\" \"$1\""),
              "the file ends too early");
  expect_none(with_script("rm \"$1\""), "cannot read");
}

TEST_F(Recording, OfAProcessThatAddsNothingIsNone) {
  expect_none(with_script("exit 0"), "added none");
}

TEST_F(Recording, OfAProcessThatCannotBeStartedIsNone) {
  expect_none(with_records(sample_profile(), "/no/such/command", {}, kLong),
              "cannot start another process: ");
}

TEST_F(Recording, LeavesNoFileBehind) {
  const std::string list = write("seen", "");
  (void)with_script("echo \"$1\" >" + list + "; exit 1");
  std::ifstream seen(list);
  std::string path;
  std::getline(seen, path);
  EXPECT_NE(path, "");
  EXPECT_FALSE(fs::exists(path));
}

/// Up to where the real one finds no driver; on a machine with a GPU it records.
TEST_F(Recording, OfTheCommandWithoutAGpuIsNone) {
  const std::string workload =
      write("workload.toml",
            "[[job]]\nmodel = \"gpt\"\nlayers = 1\nwidth = 64\nheads = 2\ncontext = 32\n"
            "dropout = 0.1\nbatch = 8\nminibatches = 1\n");
  const std::string cluster =
      write("cluster.toml", "[[device]]\nname = \"gpu\"\nkind = \"cuda\"\nmemory = \"1 GiB\"\n");
  const char* command = std::getenv("SHARDLAB_COMMAND");
  ASSERT_NE(command, nullptr);
  const Profile found =
      with_records(sample_profile(), command, {"profile", workload, cluster}, kLong);
  if (source(found).starts_with("CUPTI")) return;
  expect_none(found, "the process of its own ended with 1");
}

TEST_F(Recording, MayTakeManyTimesAsLongAsItsMinibatches) {
  Profile profile = sample_profile();
  const Duration short_one = recording_limit(profile);
  profile.models[0].layers[0].alone.forward.median += std::chrono::seconds(1);
  EXPECT_EQ(recording_limit(profile) - short_one, std::chrono::seconds(100));
  EXPECT_GT(short_one, std::chrono::minutes(1));
}

}  // namespace
}  // namespace shardlab
