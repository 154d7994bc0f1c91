// Exports of Nsight Systems as its versions write them, after their documentation; no real one was
// at hand.
#include <algorithm>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "imports/importers.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

constexpr const char* kUsual = R"(
  CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
  INSERT INTO StringIds VALUES (1, 'block'), (2, 'ampere_bf16_s16816gemm_bf16_128x128_nn'),
    (3, 'iteration 1');
  CREATE TABLE TARGET_INFO_GPU (vmId INTEGER, id INTEGER, name TEXT, busLocation TEXT);
  INSERT INTO TARGET_INFO_GPU VALUES (0, 0, 'Little', ''), (0, 3, 'Big', '');
  CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INT NOT NULL, end INT NOT NULL, eventClass INT,
    globalTid INT, correlationId INT, nameId INT NOT NULL, returnValue INT NOT NULL);
  INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (30, 34, 0, 83886085, 1, 0, 0);
  CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INT NOT NULL, end INT NOT NULL,
    deviceId INT NOT NULL, contextId INT NOT NULL, greenContextId INT, streamId INT NOT NULL,
    correlationId INT, globalPid INT, demangledName INT NOT NULL, shortName INT NOT NULL);
  INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (50, 70, 0, 1, NULL, 7, 1, 83886080, 2, 2);
  CREATE TABLE NVTX_EVENTS (start INT NOT NULL, end INT, eventType INT NOT NULL, rangeId INT,
    text TEXT, globalTid INT, textId INT, domainId INT);
  INSERT INTO NVTX_EVENTS VALUES (0, 90, 59, NULL, NULL, 83886085, 3, 0),
    (10, 80, 59, NULL, NULL, 83886085, 1, 0), (0, NULL, 75, NULL, 'domain', 83886085, NULL, 1);
)";

class NsightVersions : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database_), SQLITE_OK);
    run("PRAGMA synchronous = OFF");
    run(kUsual);
  }
  void TearDown() override {
    sqlite3_close(database_);
    std::filesystem::remove(path_);
  }
  void run(const std::string& sql) {
    char* why = nullptr;
    ASSERT_EQ(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &why), SQLITE_OK) << why;
  }
  Imported import(const std::string& process = "") {
    ImportOptions options;
    options.batch = 8;
    options.process = process;
    return import_nsight(path_, options);
  }
  std::string error() {
    return error_of([&] { import(); }).substr(path_.size() + 2);
  }
  void expect_usual(const Imported& found) {
    ASSERT_EQ(found.model.layers.size(), 1U);
    EXPECT_EQ(found.model.layers[0].name, "block");
    EXPECT_EQ(found.model.layers[0].alone.forward.median, Duration{20});
  }

  std::string path_ = testing::TempDir() + "shardlab_nsys_" + std::to_string(getpid()) + ".sqlite";
  sqlite3* database_ = nullptr;
};

TEST_F(NsightVersions, OneOf2025IsReadWithItsPrecision) {
  const Imported found = import();
  expect_usual(found);
  EXPECT_EQ(found.device, "Little");
  EXPECT_EQ(found.model.imported_precision, Precision::kBf16);
}

TEST_F(NsightVersions, MissingTextIsEmptyInOldOnes) {
  run("UPDATE NVTX_EVENTS SET text = '' WHERE text IS NULL");
  expect_usual(import());
}

TEST_F(NsightVersions, OldOnesDoNotSayWhoseAKernelIs) {
  run("ALTER TABLE CUPTI_ACTIVITY_KIND_KERNEL DROP COLUMN globalPid");
  expect_usual(import());
}

TEST_F(NsightVersions, CallsOfTheDriverMayStandInATableOfTheirOwn) {
  run("ALTER TABLE CUPTI_ACTIVITY_KIND_RUNTIME RENAME TO CUPTI_ACTIVITY_KIND_DRIVER");
  expect_usual(import());
}

TEST_F(NsightVersions, ATableSaysWhichGpuAProcessNumbersSo) {
  run("CREATE TABLE TARGET_INFO_CUDA_DEVICE (gpuId INT, cudaId INT, pid INT);"
      "INSERT INTO TARGET_INFO_CUDA_DEVICE VALUES (3, 0, 5)");
  EXPECT_EQ(import().device, "Big");
}

TEST_F(NsightVersions, WholeGraphsAreCountedWithWhatToDo) {
  run("CREATE TABLE CUPTI_ACTIVITY_KIND_GRAPH_TRACE (start INT, end INT, graphId INT);"
      "INSERT INTO CUPTI_ACTIVITY_KIND_GRAPH_TRACE VALUES (1, 2, 1), (3, 4, 1)");
  const Imported found = import();
  expect_usual(found);
  EXPECT_TRUE(std::ranges::any_of(found.unused, [](const Unused& unused) {
    return unused.count == 2 && unused.why.ends_with("--cuda-graph-trace=node");
  }));
  run("DROP TABLE CUPTI_ACTIVITY_KIND_KERNEL");
  EXPECT_EQ(error(),
            "no table CUPTI_ACTIVITY_KIND_KERNEL: they are whole CUDA graphs, without their "
            "kernels; record with nsys profile --cuda-graph-trace=node");
}

TEST_F(NsightVersions, ARefusalSaysWhatWasLostBefore) {
  run("UPDATE NVTX_EVENTS SET eventType = 34");
  EXPECT_TRUE(error().ends_with("; could not use 3 rows: they are marks of NVTX, not ranges"))
      << error();
  run("DELETE FROM CUPTI_ACTIVITY_KIND_KERNEL");
  EXPECT_TRUE(error().starts_with("no kernel in it: only work of a GPU is imported")) << error();
}

TEST_F(NsightVersions, AReportWithoutCudaSaysHowToRecordIt) {
  run("DROP TABLE CUPTI_ACTIVITY_KIND_KERNEL");
  EXPECT_EQ(error(),
            "no table CUPTI_ACTIVITY_KIND_KERNEL: nothing ran on a GPU, or nsys profile was told "
            "to leave it out (--trace cuda,nvtx records it)");
}

TEST_F(NsightVersions, OfSeveralProcessesOneIsChosenAndKernelsSayWhoseTheyAre) {
  run("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (30, 34, 0, 100663301, 1, 0, 0);"
      "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (40, 99, 0, 1, NULL, 7, 1, 100663296, 2, 2);"
      "INSERT INTO NVTX_EVENTS VALUES (0, 90, 59, NULL, NULL, 100663301, 3, 0),"
      "  (10, 80, 59, NULL, NULL, 100663301, 1, 0)");
  EXPECT_EQ(error(),
            "it is of several processes, 5 (1 launches, 2 ranges), 6 (1 launches, 2 ranges): "
            "choose one with --process 5; could not use 1 rows: they are marks of NVTX, not "
            "ranges");
  expect_usual(import("5"));
  const Imported other = import("6");
  EXPECT_EQ(other.model.layers.at(0).alone.forward.median, Duration{59});
  EXPECT_EQ(other.unused.at(0).what, "kernels and copies on the device");
  EXPECT_EQ(other.unused.at(0).why, "of other processes");
}

}  // namespace
}  // namespace shardlab
