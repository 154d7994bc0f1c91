#include "traces/job_table.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/error_of.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

const std::string kHeader = "name,model,layers,width,heads,context,batch,minibatches\n";

std::vector<Job> parse(const std::string& text) { return parse_job_table(text, "w.csv", {}).jobs; }

std::string error(const std::string& text) {
  return error_of([&] { parse(text); });
}

/// The error of one job that is right, but for the last column.
std::string error_with(const std::string& column, const std::string& field) {
  return error("model,layers,width,heads,context,batch,minibatches," + column +
               "\ngpt,2,8,2,16,4,3," + field + "\n");
}

/// A folder with files of these texts, gone at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "shardlab_jobs_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

TEST(JobTable, ReadsEveryKey) {
  const Job read =
      parse(
          "name,model,layers,width,heads,context,dropout,precision,batch,optimizer,"
          "learning_rate,momentum,weight_decay,minibatches,seed,data,arrival_s,priority\n"
          "a,bert,2,12,3,16,0.25,bf16,4,sgd,0.5,0.75,0.125,7,9,x.txt,2.5,-2\n")
          .at(0);
  EXPECT_EQ(read.name, "a");
  EXPECT_EQ(read.model, (ModelSpec{Architecture::kBert, 2, 12, 3, 16, 0.25, Precision::kBf16}));
  EXPECT_EQ(read.batch, 4);
  EXPECT_EQ(read.optimizer, (OptimizerSpec{OptimizerKind::kSgd, 0.5, 0.75, 0.125}));
  EXPECT_EQ(read.minibatches, 7);
  EXPECT_EQ(read.seed, 9u);
  EXPECT_EQ(read.data, "x.txt");
  EXPECT_EQ(read.arrival, Duration{2'500'000'000});
  EXPECT_EQ(read.priority, -2);
}

TEST(JobTable, IsOneJobPerRowInAnyOrderOfColumns) {
  const std::vector<Job> jobs = parse(
      "\xef\xbb\xbf# Two of them.\r\nepochs,batch,context,arrival,width,layers,model,"
      "dataset_sequences\r\n\r\n2,4,16,90 s,8,1,mlp,10\r\n1,5,16,\"\",8,1, mlp ,10");
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].name, "job-1");
  EXPECT_EQ(jobs[0].minibatches, 5);
  EXPECT_EQ(jobs[0].arrival, Duration{90'000'000'000});
  EXPECT_EQ(jobs[1].name, "job-2");
  EXPECT_EQ(jobs[1].minibatches, 2);
  EXPECT_EQ(jobs[1].arrival, Duration{});
}

TEST(JobTable, AnEmptyFieldIsAsIfTheKeyWereNotGiven) {
  const Job read = parse(
                       "name,model,layers,width,heads,context,batch,minibatches,epochs,optimizer\n"
                       ",mlp,2,8,,16,4,3,,\n")
                       .at(0);
  EXPECT_EQ(read.name, "job-1");
  EXPECT_EQ(read.optimizer, OptimizerSpec{});
  EXPECT_EQ(error(kHeader + "a,gpt,2,8,2,16,,3\n"), "w.csv:2: batch: missing in this job");
  EXPECT_EQ(error(kHeader + "a,gpt,2,8,,16,4,3\n"),
            "w.csv:2: heads: missing in this job: a gpt needs it");
  EXPECT_EQ(error(kHeader + "a,gpt,2,8,2,16,4,\n"),
            "w.csv:2: minibatches: missing in this job; or give epochs and dataset_sequences");
}

TEST(JobTable, NamesTheUnknownColumnAndTheNearestKnown) {
  EXPECT_EQ(error("model,widht\n"), "w.csv:1: widht: unknown column; did you mean \"width\"?");
  EXPECT_EQ(error("model,colour\n"), "w.csv:1: colour: unknown column");
}

TEST(JobTable, RefusesWhatTomlRefuses) {
  EXPECT_EQ(error(kHeader + "a,gtp,2,8,2,16,4,3\n"),
            "w.csv:2: model: \"gtp\" is no model; there are mlp, gpt, bert and vit");
  EXPECT_EQ(error(kHeader + "a,gpt,0,8,2,16,4,3\n"), "w.csv:2: layers: must be at least 1, is 0");
  EXPECT_EQ(error(kHeader + "a,gpt,two,8,2,16,4,3\n"),
            "w.csv:2: layers: must be an integer, is \"two\"");
  EXPECT_EQ(error(kHeader + "a,gpt,2,8,3,16,4,3\n"),
            "w.csv:2: heads: 3 does not divide width, which is 8");
  EXPECT_EQ(error(kHeader + "\"a\nb\",gpt,2,8,2,16,4,3\n"),
            "w.csv:2: name: has a control character");
  EXPECT_EQ(error_with("dropout", "1"), "w.csv:2: dropout: must be below 1, is 1");
  EXPECT_EQ(error_with("learning_rate", "nan"), "w.csv:2: learning_rate: must be finite, is nan");
  EXPECT_EQ(error_with("seed", "-1"), "w.csv:2: seed: must be at least 0, is -1");
  EXPECT_EQ(error_with("epochs", "1"),
            "w.csv:2: minibatches: says the same as epochs; take one out");
  EXPECT_EQ(error_with("arrival", "7"),
            "w.csv:2: arrival: \"7\" is no time; write for example \"90 s\" or \"1.5 h\"");
}

TEST(JobTable, NamesMustDiffer) {
  EXPECT_EQ(error(kHeader + "a,gpt,2,8,2,16,4,3\n\na,gpt,2,8,2,16,4,3\n"),
            "w.csv:4: name: a is also a job of line 2; names must differ");
}

TEST(JobTable, RefusesATableWithoutJobs) {
  EXPECT_EQ(error(kHeader), "w.csv: no job in it, only the names of the columns");
  EXPECT_EQ(error(""), "w.csv: is empty; its first line must name the columns");
}

TEST(JobTable, RefusesMoreThanAMillionJobs) {
  std::string text = kHeader;
  for (std::size_t i = 0; i <= kMostJobRows; ++i) text += ",mlp,2,8,,16,4,3\n";
  EXPECT_EQ(error(text), "w.csv:1000002: more than 1000000 jobs; split the file");
}

TEST(JobTable, AWorkloadMayNameItAndGiveDefaultsAndArrivals) {
  const Folder folder;
  const std::string table = folder.write(
      "jobs.csv", "model,batch,epochs,arrival_s,data\nmlp,1,,,\nmlp,2,3,7,x.txt\nmlp,4,,,\n");
  const std::string toml = folder.write(
      "work.toml",
      "job_table = 'jobs.csv'\n[defaults]\nlayers = 1\nwidth = 8\ncontext = 4\nminibatches = 9\n"
      "dataset_sequences = 4\ndata = 'y.txt'\n[arrivals]\nmean_interval = '1 s'\n");
  const std::vector<Job> jobs = read_workload(toml).jobs;
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].minibatches, 9);
  EXPECT_EQ(jobs[1].minibatches, 6);
  EXPECT_EQ(jobs[1].arrival, Duration{7'000'000'000});
  EXPECT_GT(jobs[2].arrival, jobs[0].arrival);
  const auto sibling = [&](const std::string& name) {
    return std::filesystem::path(toml).replace_filename(name).string();
  };
  EXPECT_EQ(jobs[0].data, sibling("y.txt"));
  EXPECT_EQ(jobs[1].data, sibling("x.txt"));
  EXPECT_EQ(error_of([&] { read_workload(table); }), table + ":2: layers: missing in this job");
}

TEST(JobTable, ErrorsOfTheWorkloadThatNamesItSayWhere) {
  const auto error_of_toml = [](const std::string& text) {
    return error_of([&] { parse_workload(text, "w.toml"); });
  };
  EXPECT_EQ(error_of_toml("job_table = 'no/such.csv'\n"),
            "no/such.csv: cannot read: No such file or directory");
  EXPECT_EQ(error_of_toml("job_table = 3\n"),
            "w.toml:1: job_table: must be a string, is an integer");
  EXPECT_EQ(error_of_toml("job_table = 'a.csv'\n[[job]]\n"),
            "w.toml:1: job_table: there are [[job]] tables too; take one out");
  const Folder folder;
  const std::string table = folder.write("jobs.csv", kHeader + ",mlp,2,8,,16,4,3\n");
  EXPECT_EQ(error_of_toml("job_table = '" + table + "'\n[defaults]\nseed = [1, 2]\n"),
            "w.toml:3: seed: must be one value for jobs of a CSV file, is a list");
  EXPECT_EQ(error_of_toml("job_table = '" + table + "'\n[defaults]\nseed = 'x'\n"),
            "w.toml:3: seed: must be an integer, is a string");
}

TEST(JobTable, AnImportedModelIsReadWithoutAShape) {
  const auto jobs =
      parse_job_table("model,batch,minibatches\n\"imported:a, b\",4,7\n", "j.csv", {}).jobs;
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].model.architecture, Architecture::kImported);
  EXPECT_EQ(jobs[0].model.imported, "a, b");
}

}  // namespace
}  // namespace shardlab
