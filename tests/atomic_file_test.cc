#include "traces/atomic_file.h"

#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

/// An empty folder for each test.
class AtomicFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("atomic_file_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }
  [[nodiscard]] auto entries() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

  fs::path folder_;
};

TEST_F(AtomicFile, ReplacesWhatWasThereAndLeavesNothingElse) {
  write_file_atomically(path("a"), "a long first content");
  write_file_atomically(path("a"), "short");
  EXPECT_EQ(read_whole_file(path("a")), "short");
  EXPECT_EQ(entries(), 1);
}

TEST_F(AtomicFile, KeepsEveryByte) {
  std::string content;
  for (int i = 0; i < 300'000; ++i) content += static_cast<char>(i * 7);
  write_file_atomically(path("a"), content);
  EXPECT_EQ(read_whole_file(path("a")), content);
  write_file_atomically(path("a"), "");
  EXPECT_EQ(read_whole_file(path("a")), "");
}

TEST_F(AtomicFile, AFailureLeavesTheOldFileAndNothingElse) {
  EXPECT_EQ(error_of([&] { write_file_atomically(path("no/such/a"), "x"); }),
            path("no/such/a") + ": cannot write: No such file or directory");
  fs::create_directory(path("folder"));
  EXPECT_EQ(error_of([&] { write_file_atomically(path("folder"), "x"); }),
            path("folder") + ": cannot write: it is a folder");
  EXPECT_EQ(entries(), 1);
}

TEST_F(AtomicFile, PassesOverTemporaryFilesOfKilledProcesses) {
  write_file_atomically(path("a." + std::to_string(::getpid()) + "-0.tmp"), "left over");
  write_file_atomically(path("a"), "x");
  EXPECT_EQ(read_whole_file(path("a")), "x");
  EXPECT_EQ(entries(), 2);
}

TEST_F(AtomicFile, ALinkStaysALink) {
  write_file_atomically(path("target"), "old");
  fs::create_symlink("target", path("link"));
  write_file_atomically(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_whole_file(path("target")), "new");
}

TEST_F(AtomicFile, ADeviceIsWrittenNotReplaced) {
  write_file_atomically("/dev/null", "x");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(error_of([] { write_file_atomically("/dev/full", "x"); }),
            "/dev/full: cannot write: No space left on device");
}

TEST_F(AtomicFile, ReadingAFolderIsAnError) {
  EXPECT_EQ(error_of([&] { read_whole_file(folder_.string()); }),
            folder_.string() + ": cannot read: Is a directory");
}

}  // namespace
}  // namespace shardlab
