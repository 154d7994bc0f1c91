#include "traces/checkpoint_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

class CheckpointFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "shardlab_checkpoint_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
    job.name = "one";
    job.model = {Architecture::kMlp, 2, 8, 1, 4, 0};
    job.batch = 2;
  }
  void TearDown() override { fs::remove_all(folder); }

  /// Two layers whose floats tell the minibatch.
  void write(std::int64_t minibatch, std::size_t which = 0) const {
    const std::vector<float> parameters(32, static_cast<float>(minibatch)), state(64, 0.5F);
    Checkpoint checkpoint{
        minibatch, std::vector<double>(static_cast<std::size_t>(minibatch), 0.1), {}};
    checkpoint.layers.push_back({parameters, state});
    checkpoint.layers.push_back({parameters, {}});
    write_checkpoint(folder, which, identity_of(job, 7), checkpoint);
  }
  [[nodiscard]] std::optional<CheckpointFile> newest() {
    problems.clear();
    return CheckpointFile::newest(folder, 0, problems);
  }
  [[nodiscard]] std::string path(std::int64_t minibatch) const {
    std::string digits = std::to_string(minibatch);
    digits.insert(0, 12 - digits.size(), '0');
    return folder + "/job-0." + digits + ".checkpoint";
  }

  std::string folder;
  Job job;
  std::vector<DamagedCheckpoint> problems;
};

TEST_F(CheckpointFiles, ReadBackWhatWasWritten) {
  write(3);
  const auto file = newest();
  ASSERT_TRUE(file);
  const Checkpoint& read = file->checkpoint();
  EXPECT_EQ(read.minibatch, 3);
  EXPECT_EQ(read.losses, std::vector<double>(3, 0.1));
  ASSERT_EQ(read.layers.size(), 2U);
  EXPECT_EQ(read.layers[0].parameters.size(), 32U);
  EXPECT_EQ(read.layers[0].parameters[31], 3);
  EXPECT_EQ(read.layers[0].state[63], 0.5F);
  EXPECT_TRUE(read.layers[1].state.empty());
  EXPECT_EQ(difference(file->identity(), identity_of(job, 7)), "");
}

TEST_F(CheckpointFiles, KeepTheNewestAndTheOneBeforeOfEachJob) {
  for (const std::int64_t minibatch : {8, 9, 10, 100}) write(minibatch);
  write(5, 12);
  EXPECT_EQ(newest()->checkpoint().minibatch, 100);
  EXPECT_TRUE(fs::exists(path(10)));
  EXPECT_FALSE(fs::exists(path(9)));
  EXPECT_EQ(checkpointed_jobs(folder), 13U);
}

// Every bit of the file: preamble, header, blanks, floats.
TEST_F(CheckpointFiles, AFlippedBitIsFoundAndTheOneBeforeTaken) {
  write(1);
  write(2);
  const std::string whole = read_whole_file(path(2));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ (1 << at % 8));
    std::ofstream(path(2), std::ios::binary) << broken;
    const auto file = newest();
    ASSERT_TRUE(file) << "byte " << at;
    ASSERT_EQ(file->checkpoint().minibatch, 1) << "byte " << at;
    ASSERT_EQ(problems.size(), 1U);
    ASSERT_EQ(problems[0].path, path(2));
    ASSERT_EQ(problems[0].problem.find(path(2) + ": "), 0U) << problems[0].problem;
  }
}

TEST_F(CheckpointFiles, AFileThatIsCutOffOrLongerIsFound) {
  write(1);
  write(2);
  const std::string whole = read_whole_file(path(2));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(path(2), std::ios::binary) << whole.substr(0, size);
    ASSERT_EQ(newest()->checkpoint().minibatch, 1) << size << " bytes";
  }
  std::ofstream(path(2), std::ios::binary) << whole << "more";
  EXPECT_EQ(newest()->checkpoint().minibatch, 1);
  EXPECT_NE(problems[0].problem.find("longer than its header says"), std::string::npos);
}

TEST_F(CheckpointFiles, NoWholeOneIsNoneAndSaysWhy) {
  EXPECT_FALSE(newest());
  EXPECT_TRUE(problems.empty());
  std::ofstream(path(1), std::ios::binary) << "no checkpoint at all, but long enough to be one";
  EXPECT_FALSE(newest());
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].problem, path(1) + ": is no checkpoint, or its first bytes changed");
}

// The job begins anew, and what it writes is of earlier minibatches than what was damaged.
TEST_F(CheckpointFiles, DamagedOnesEvictNone) {
  for (const std::int64_t minibatch : {19, 20}) {
    write(minibatch);
    std::ofstream(path(minibatch), std::ios::binary) << "damaged";
  }
  EXPECT_FALSE(newest());
  for (const std::int64_t minibatch : {1, 2, 3}) write(minibatch);
  EXPECT_FALSE(fs::exists(path(1)));
  EXPECT_TRUE(fs::exists(path(2)));
  EXPECT_EQ(newest()->checkpoint().minibatch, 3);
  ASSERT_EQ(problems.size(), 2U);
  for (const DamagedCheckpoint& each : problems) set_aside(each);
  EXPECT_EQ(newest()->checkpoint().minibatch, 3);
  EXPECT_TRUE(problems.empty());
  EXPECT_TRUE(fs::exists(path(20) + ".damaged"));
  remove_checkpoints(folder, false);
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(CheckpointFiles, APipeAndAFolderAreNone) {
  write(1);
  ASSERT_EQ(mkfifo(path(2).c_str(), 0600), 0);
  fs::create_directory(path(3));
  ASSERT_TRUE(newest());
  EXPECT_EQ(newest()->checkpoint().minibatch, 1);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].problem, path(3) + ": is no regular file");
  EXPECT_EQ(problems[1].problem, path(2) + ": is no regular file");
  for (const DamagedCheckpoint& each : problems) set_aside(each);
  EXPECT_EQ(newest()->checkpoint().minibatch, 1);
  EXPECT_TRUE(problems.empty());
}

TEST_F(CheckpointFiles, SayHowMinibatchesWereDealtOutWhereThatIsKnown) {
  Checkpoint checkpoint{1, {0.5}, {}};
  write_checkpoint(folder, 0, identity_of(job, 7), checkpoint);
  EXPECT_EQ(newest()->checkpoint().microbatches, 0);
  checkpoint.microbatches = 4;
  checkpoint.replicas = 2;
  write_checkpoint(folder, 0, identity_of(job, 7), checkpoint);
  EXPECT_EQ(newest()->checkpoint().microbatches, 4);
  EXPECT_EQ(newest()->checkpoint().replicas, 2);
}

TEST_F(CheckpointFiles, NameTheFirstDifferenceOfTwoWorkloads) {
  const Identity mine = identity_of(job, 7);
  Job other = job;
  other.seed = 4;
  EXPECT_EQ(difference(mine, identity_of(other, 7)),
            "seed: 0 in the checkpoint, 4 in the workload");
  other.optimizer.learning_rate = 0.5;
  EXPECT_EQ(difference(mine, identity_of(other, 7)),
            "learning_rate: 0.001 in the checkpoint, 0.5 in the workload");
  EXPECT_EQ(difference(mine, identity_of(job, 8)),
            "data: of hash 0000000000000007 in the checkpoint, of hash 0000000000000008 in the "
            "workload");
  other = job;
  other.minibatches = 50;
  EXPECT_EQ(difference(mine, identity_of(other, 7)), "");
}

TEST_F(CheckpointFiles, WhatCannotBeWrittenLeavesWhatWasThere) {
  write(1);
  const std::string nowhere = folder + "/nowhere";
  const Checkpoint empty{2, {0.1, 0.1}, {}};
  const std::string error =
      error_of([&] { write_checkpoint(nowhere, 0, identity_of(job, 7), empty); });
  EXPECT_EQ(error, nowhere +
                       "/job-0.000000000002.checkpoint: cannot write: No such file or "
                       "directory");
  EXPECT_EQ(newest()->checkpoint().minibatch, 1);
}

TEST_F(CheckpointFiles, LeftOversOfKilledWritersGo) {
  write(1);
  std::ofstream(folder + "/job-0.000000000002.checkpoint.77-0.tmp") << "half";
  remove_checkpoints(folder, /*temporary_only=*/true);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
  remove_checkpoints(folder, false);
  EXPECT_TRUE(fs::is_empty(folder));
}

}  // namespace
}  // namespace shardlab
