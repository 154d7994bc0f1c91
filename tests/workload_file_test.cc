#include "traces/workload_file.h"

#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

std::string job(const std::string& more) {
  return "[[job]]\nname = \"a\"\nmodel = \"gpt\"\nlayers = 2\nwidth = 8\nheads = 2\ncontext = 16\n"
         "batch = 4\nminibatches = 3\n" +
         more;
}

Workload parse(const std::string& text) { return parse_workload(text, "w.toml"); }

std::string error(const std::string& text) {
  return error_of([&] { parse(text); });
}

/// The error when `line` replaces the same key in a job that is right; the key stands in line 2
/// then.
std::string error_with(const std::string& line) {
  const std::string key = line.substr(0, line.find(' '));
  std::string rest = job("");
  const std::size_t at = rest.find("\n" + key + " =");
  if (at != std::string::npos) rest.erase(at, rest.find('\n', at + 1) - at);
  return error("[[job]]\n" + line + rest.substr(rest.find('\n')));
}

std::vector<std::string> names(const Workload& workload) {
  std::vector<std::string> all;
  for (const Job& each : workload.jobs) all.push_back(each.name);
  return all;
}

TEST(WorkloadFile, ReadsEveryKey) {
  const Workload workload = parse(
      "[[job]]\nname = \"a\"\nmodel = \"bert\"\nlayers = 2\nwidth = 12\nheads = 3\ncontext = 16\n"
      "dropout = 0.25\nprecision = \"bf16\"\nbatch = 4\noptimizer = \"sgd\"\nlearning_rate = "
      "0.5\nmomentum = 0.75\n"
      "weight_decay = 0.125\nminibatches = 7\nseed = 9\ndata = \"texts/x.txt\"\n");
  ASSERT_EQ(workload.jobs.size(), 1u);
  const Job& read = workload.jobs[0];
  EXPECT_EQ(read.name, "a");
  EXPECT_EQ(read.model, (ModelSpec{Architecture::kBert, 2, 12, 3, 16, 0.25, Precision::kBf16}));
  EXPECT_EQ(read.batch, 4);
  EXPECT_EQ(read.optimizer, (OptimizerSpec{OptimizerKind::kSgd, 0.5, 0.75, 0.125}));
  EXPECT_EQ(read.minibatches, 7);
  EXPECT_EQ(read.seed, 9u);
  EXPECT_EQ(read.data, "texts/x.txt");
}

TEST(WorkloadFile, LeavesTheDefaultsOfCoreWhereAKeyMayBeLeftOut) {
  const Job read = parse(job("")).jobs.at(0);
  EXPECT_EQ(read.optimizer, OptimizerSpec{});
  EXPECT_EQ(read.model.dropout, 0);
  EXPECT_EQ(read.model.precision, Precision::kFp32);
  EXPECT_EQ(read.seed, 0u);
  EXPECT_EQ(read.data, "");
}

TEST(WorkloadFile, TakesAnIntegerForAFraction) {
  EXPECT_EQ(parse(job("learning_rate = 1\n")).jobs.at(0).optimizer.learning_rate, 1.0);
}

TEST(WorkloadFile, TheListThatStandsFirstVariesSlowest) {
  EXPECT_EQ(
      names(parse(job("learning_rate = [1e-3, 3e-4]\nseed = [1, 2, 3]\n"))),
      (std::vector<std::string>{"a/learning_rate=0.001,seed=1", "a/learning_rate=0.001,seed=2",
                                "a/learning_rate=0.001,seed=3", "a/learning_rate=0.0003,seed=1",
                                "a/learning_rate=0.0003,seed=2", "a/learning_rate=0.0003,seed=3"}));
}

TEST(WorkloadFile, PrecisionMayBeAListAsEveryKey) {
  const Workload workload = parse(job("precision = [\"fp32\", \"bf16\"]\n"));
  EXPECT_EQ(names(workload), (std::vector<std::string>{"a/precision=fp32", "a/precision=bf16"}));
  EXPECT_EQ(workload.jobs[0].model.precision, Precision::kFp32);
  EXPECT_EQ(workload.jobs[1].model.precision, Precision::kBf16);
}

TEST(WorkloadFile, EachCombinationHasItsOwnValues) {
  const Workload workload = parse(job("seed = [1, 2]\ndropout = [0, 0.5]\n"));
  ASSERT_EQ(workload.jobs.size(), 4u);
  EXPECT_EQ(workload.jobs[1].seed, 1u);
  EXPECT_EQ(workload.jobs[1].model.dropout, 0.5);
  EXPECT_EQ(workload.jobs[2].seed, 2u);
  EXPECT_EQ(workload.jobs[2].model.dropout, 0);
}

TEST(WorkloadFile, AListOfOneValueLeavesTheName) {
  EXPECT_EQ(names(parse(job("seed = [5]\n"))), (std::vector<std::string>{"a"}));
}

TEST(WorkloadFile, DefaultsFillInWhatAJobLeavesOutAndMayBeLists) {
  const Workload workload = parse(
      "[defaults]\nlayers = 2\nwidth = 8\nheads = 2\ncontext = 16\nbatch = [1, 2]\nminibatches = "
      "3\n"
      "[[job]]\nmodel = \"gpt\"\n"
      "[[job]]\nmodel = \"mlp\"\nheads = 1\nbatch = 5\nwidth = 4\n");
  EXPECT_EQ(names(workload), (std::vector<std::string>{"job-1/batch=1", "job-1/batch=2", "job-2"}));
  EXPECT_EQ(workload.jobs[0].model.width, 8);
  EXPECT_EQ(workload.jobs[2].model.width, 4);
  EXPECT_EQ(workload.jobs[2].batch, 5);
}

TEST(WorkloadFile, DataIsRelativeToTheFile) {
  const std::string text = job("data = \"../texts\"\n");
  EXPECT_EQ(parse_workload(text, "runs/today/w.toml").jobs.at(0).data, "runs/texts");
  EXPECT_EQ(parse_workload(job("data = \"/abs\"\n"), "runs/w.toml").jobs.at(0).data, "/abs");
}

TEST(WorkloadFile, NamesTheUnknownKeyAndTheNearestKnown) {
  EXPECT_EQ(error_with("widht = 3"), "w.toml:2: widht: unknown key; did you mean \"width\"?");
  EXPECT_EQ(error_with("lerning_rate = 3"),
            "w.toml:2: lerning_rate: unknown key; did you mean \"learning_rate\"?");
  EXPECT_EQ(error_with("colour = 3"), "w.toml:2: colour: unknown key");
  EXPECT_EQ(error("[[jobs]]\n"), "w.toml:1: jobs: unknown key; did you mean \"job\"?");
  EXPECT_EQ(error("[defaults]\nname = \"x\"\n" + job("")),
            "w.toml:2: name: unknown key; did you mean \"base\"?");
}

TEST(WorkloadFile, RefusesWrongTypes) {
  EXPECT_EQ(error_with("layers = \"2\""), "w.toml:2: layers: must be an integer, is a string");
  EXPECT_EQ(error_with("layers = 2.5"),
            "w.toml:2: layers: must be an integer, is a number with a fraction");
  EXPECT_EQ(error_with("dropout = true"), "w.toml:2: dropout: must be a number, is true or false");
  EXPECT_EQ(error_with("model = 3"), "w.toml:2: model: must be a string, is an integer");
  EXPECT_EQ(error_with("name = [\"x\"]"), "w.toml:2: name: must be a string, is a list");
  EXPECT_EQ(error_with("batch = [[4]]"), "w.toml:2: batch: must be an integer, is a list");
  EXPECT_EQ(error_with("batch = { a = 1 }"), "w.toml:2: batch: must be an integer, is a table");
  EXPECT_EQ(error_with("seed = 2024-01-01"),
            "w.toml:2: seed: must be an integer, is a date or time");
}

TEST(WorkloadFile, RefusesValuesOutOfRange) {
  EXPECT_EQ(error_with("layers = 0"), "w.toml:2: layers: must be at least 1, is 0");
  EXPECT_EQ(error_with("batch = -4"), "w.toml:2: batch: must be at least 1, is -4");
  EXPECT_EQ(error_with("width = 3000000000"),
            "w.toml:2: width: must be at most 2147483647, is 3000000000");
  EXPECT_EQ(error_with("dropout = 1.0"), "w.toml:2: dropout: must be below 1, is 1");
  EXPECT_EQ(error_with("dropout = -0.1"), "w.toml:2: dropout: must be at least 0, is -0.1");
  EXPECT_EQ(error_with("learning_rate = 0"), "w.toml:2: learning_rate: must be above 0");
  EXPECT_EQ(error_with("learning_rate = inf"), "w.toml:2: learning_rate: must be finite, is inf");
  EXPECT_EQ(error_with("learning_rate = nan"), "w.toml:2: learning_rate: must be finite, is nan");
  EXPECT_EQ(error_with("weight_decay = -1"), "w.toml:2: weight_decay: must be at least 0, is -1");
  EXPECT_EQ(error_with("seed = -1"), "w.toml:2: seed: must be at least 0, is -1");
  EXPECT_EQ(error_with("minibatches = 0"), "w.toml:2: minibatches: must be at least 1, is 0");
  EXPECT_EQ(error_with("name = \"\""), "w.toml:2: name: is empty");
  EXPECT_EQ(error_with("name = \"a\\nb\""), "w.toml:2: name: has a control character");
  EXPECT_EQ(error_with("model = \"gtp\""),
            "w.toml:2: model: \"gtp\" is no model; there are mlp, gpt, bert and vit");
  EXPECT_EQ(error_with("precision = \"fp16\""),
            "w.toml:2: precision: \"fp16\" is no precision that models are trained in; there are "
            "fp32 and bf16");
  EXPECT_EQ(error_with("optimizer = \"adam\""),
            "w.toml:2: optimizer: \"adam\" is no optimizer; there are sgd and adamw");
}

TEST(WorkloadFile, ContextOfAVitIsANumberOfPatches) {
  const auto vit = [](const std::string& context) {
    return "[[job]]\nmodel = \"vit\"\nlayers = 2\nwidth = 8\nheads = 2\nbatch = 4\nminibatches = "
           "1\n"
           "context = " +
           context + "\n";
  };
  EXPECT_EQ(error(vit("60")), "w.toml:8: context: images make 1, 4, 16, 64, 256 or 1024 patches");
  EXPECT_EQ(parse_workload(vit("64"), "w.toml").jobs[0].model.architecture, Architecture::kVit);
}

TEST(WorkloadFile, BlamesTheValueInsideAList) {
  EXPECT_EQ(error_with("batch = [4,\n  -1]"), "w.toml:3: batch: must be at least 1, is -1");
}

TEST(WorkloadFile, NamesWhatIsMissing) {
  const auto error_without = [](const std::string& key) {
    std::string text = job("");
    const std::size_t at = text.find("\n" + key + " =");
    return error(text.erase(at, text.find('\n', at + 1) - at));
  };
  for (const std::string key : {"model", "layers", "width", "context", "batch"}) {
    EXPECT_EQ(error_without(key), "w.toml:1: " + key + ": missing in this job");
  }
  EXPECT_EQ(error_without("heads"), "w.toml:1: heads: missing in this job: a gpt needs it");
  EXPECT_EQ(error_without("minibatches"),
            "w.toml:1: minibatches: missing in this job; or give epochs and dataset_sequences");
}

TEST(WorkloadFile, HeadsDivideWidth) {
  EXPECT_EQ(error_with("heads = 3"), "w.toml:2: heads: 3 does not divide width, which is 8");
  EXPECT_EQ(error_with("heads = [2, 3]"), "w.toml:2: heads: 3 does not divide width, which is 8");
  EXPECT_EQ(error_with("model = \"mlp\""),
            "w.toml:6: heads: an mlp has no attention; set heads = 1 or leave it out");
}

TEST(WorkloadFile, FeedForwardLayersMayHaveAWidthOfTheirOwn) {
  const auto job = [](const std::string& model, const std::string& more) {
    return "[[job]]\nname = 'a'\nmodel = '" + model +
           "'\nlayers = 1\nwidth = 8\ncontext = 4\nminibatches = 1\nbatch = 2\n" + more;
  };
  const Workload workload = parse(job("bert", "heads = 2\nfeed_forward = [8, 32]\n"));
  EXPECT_EQ(feed_forward_width(workload.jobs[0].model), 8);
  EXPECT_EQ(describe(workload.jobs[0].model), "bert 1x8, 2 heads, context 4, feed-forward 8");
  EXPECT_EQ(workload.jobs[1].model, parse(job("bert", "heads = 2\n")).jobs[0].model);
  EXPECT_EQ(workload.jobs[1].model.feed_forward, 0);  // Four times the width is usual.
  EXPECT_EQ(parse(workload_toml(workload)).jobs[0].model, workload.jobs[0].model);
  EXPECT_EQ(error(job("mlp", "feed_forward = 32\n")),
            "w.toml:9: feed_forward: an mlp's blocks are one layer; leave it out");
  EXPECT_NE(error(job("bert", "heads = 2\nfeed_forward = 0\n")).find("w.toml:10: feed_forward: "),
            std::string::npos);
}

TEST(WorkloadFile, AnMlpMayHaveBatchNorms) {
  const auto mlp = [](const std::string& batch, const std::string& norm) {
    return "[[job]]\nname = 'a'\nmodel = 'mlp'\nlayers = 1\nwidth = 8\ncontext = 4\nminibatches = "
           "1\n"
           "batch = " +
           batch + "\nnorm = " + norm + "\n";
  };
  const Workload workload = parse(mlp("2", "['none', 'batch']"));
  EXPECT_FALSE(workload.jobs[0].model.batch_norm);
  EXPECT_TRUE(workload.jobs[1].model.batch_norm);
  EXPECT_EQ(error(mlp("2", "'layer'")),
            "w.toml:9: norm: \"layer\" is no norm of an mlp; there are none and batch");
  EXPECT_NE(error(mlp("1", "'batch'")).find("norm: batch norm has nothing to normalize over"),
            std::string::npos);
  EXPECT_EQ(error_with("norm = \"batch\""),
            "w.toml:2: norm: a gpt has layer norms; only an mlp takes another");
}

TEST(WorkloadFile, RefusesAGridWithoutJobs) {
  EXPECT_EQ(error(""), "w.toml: no [[job]] in it");
  EXPECT_EQ(error("job = []\n"),
            "w.toml:1: job: write [[job]], with two brackets, before the keys of each");
  EXPECT_EQ(error("[job]\nname = \"a\"\n"),
            "w.toml:1: job: write [[job]], with two brackets, before the keys of each");
  EXPECT_EQ(error("defaults = 3\n" + job("")), "w.toml:1: defaults: must be a table: [defaults]");
  EXPECT_EQ(error_with("seed = []"), "w.toml:2: seed: is an empty list, so there is no job at all");
}

TEST(WorkloadFile, NamesMustDiffer) {
  EXPECT_EQ(error(job("") + job("")),
            "w.toml:10: name: a is also a job of line 1; names must differ");
  EXPECT_EQ(error(job("seed = [4, 4]\n")),
            "w.toml:1: job a/seed=4 comes twice: a list repeats a value");
}

TEST(WorkloadFile, SaysWhatIsFrozenAndShared) {
  const Workload workload = parse(job("frozen_layers = [0, 3]\n") + "[[job]]\nname = \"b\"\n" +
                                  job("lora_rank = [4, 8]\nbase = \"x\"\n").substr(19));
  ASSERT_EQ(workload.jobs.size(), 4u);
  EXPECT_FALSE(workload.jobs[0].frozen());
  EXPECT_EQ(workload.jobs[1].frozen_layers, 3);
  EXPECT_EQ(workload.jobs[1].base, "");
  EXPECT_EQ(workload.jobs[3].name, "b/lora_rank=8");
  EXPECT_EQ(workload.jobs[3].lora_rank, 8);
  EXPECT_EQ(workload.jobs[3].base, "x");
}

TEST(WorkloadFile, RefusesWhatCannotBeFrozen) {
  EXPECT_EQ(error(job("frozen_layers = 4\n")),
            "w.toml:10: frozen_layers: must be at most 3, is 4: leave the head to train");
  EXPECT_EQ(error(job("frozen_layers = 1\nlora_rank = 4\n")),
            "w.toml:10: frozen_layers: lora_rank freezes all layers; take one of the two out");
  EXPECT_EQ(error(job("base = \"x\"\n")),
            "w.toml:10: base: nothing of the job is frozen; give frozen_layers or lora_rank");
  EXPECT_EQ(error(job("lora_rank = -1\n")), "w.toml:10: lora_rank: must be at least 0, is -1");
}

TEST(WorkloadFile, RefusesAHugeGrid) {
  std::string list = "[0";
  for (int i = 1; i < 400; ++i) list += "," + std::to_string(i);
  const std::string lists = "seed = " + list + "]\nweight_decay = " + list + "]\n";
  EXPECT_EQ(error(job(lists)), "w.toml:1: the lists give more than 100000 jobs; shorten them");
  const std::string more = lists + "learning_rate = [1" + list.substr(2) + "]\n";
  EXPECT_EQ(error(job(more + "momentum = [0, 0.5]\n")),
            "w.toml:1: the lists give more than 100000 jobs; shorten them");
}

TEST(WorkloadFile, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_EQ(error("[[job]]\nname = \"a\nmodel = 3\n").substr(0, 12), "w.toml:2:10:");
  EXPECT_EQ(error("[[job]]\nbatch = 1\nbatch = 2\n").substr(0, 9), "w.toml:3:");
}

TEST(WorkloadFile, SaysThatAFileCannotBeRead) {
  EXPECT_EQ(error_of([] { read_workload("no/such.toml"); }),
            "no/such.toml: cannot read: No such file or directory");
}

TEST(WorkloadFile, AnyPrefixEitherReadsOrIsAnError) {
  const std::string text = "[defaults]\nseed = [1, 2]\n" + job("data = \"x\"\n");
  for (std::size_t length = 0; length < text.size(); ++length) {
    try {
      EXPECT_FALSE(parse(text.substr(0, length)).jobs.empty());
    } catch (const Error&) {
    }
  }
}

/// A job whose key `seed` is the last: more values and keys may follow.
constexpr const char* kShort =
    "[[job]]\nmodel = 'mlp'\nlayers = 1\nwidth = 8\ncontext = 4\nbatch = 1\n"
    "minibatches = 1\nseed = [";

std::string seeds(int count) {
  std::string list = "0";
  for (int seed = 1; seed < count; ++seed) list += "," + std::to_string(seed);
  return list + "]\n";
}

TEST(WorkloadFile, JobsArriveWhenTheySay) {
  const auto arrival = [](const std::string& line) {
    return parse(job(line)).jobs.at(0).arrival.count();
  };
  EXPECT_EQ(arrival("arrival_s = 2.5\n"), 2'500'000'000);
  EXPECT_EQ(arrival("arrival = '1.5 h'\n"), 5'400'000'000'000);
  EXPECT_EQ(arrival("arrival = '250us'\n"), 250'000);
  EXPECT_EQ(error_with("arrival_s = -1"), "w.toml:2: arrival_s: must be at least 0, is -1");
  EXPECT_EQ(error_with("arrival_s = 1e9"),
            "w.toml:2: arrival_s: must be below 1e9 seconds, is 1000000000");
  EXPECT_EQ(error_with("arrival = '20000 d'"),
            "w.toml:2: arrival: must be below 1e9 seconds, is 1728000000");
  EXPECT_EQ(error_with("arrival = 'noon'"),
            "w.toml:2: arrival: \"noon\" is no time; write for example \"90 s\" or \"1.5 h\"");
  EXPECT_EQ(error(job("arrival = '1 s'\narrival_s = 1\n")),
            "w.toml:11: arrival_s: says the same as arrival; take one out");
}

TEST(WorkloadFile, JobsMayArriveAsAPoissonProcess) {
  const Workload workload =
      parse(kShort + seeds(4000) + "[arrivals]\nprocess = 'poisson'\nper_hour = 7200\nseed = 3\n");
  Duration last{};
  for (const Job& each : workload.jobs) {
    EXPECT_GT(each.arrival, last);
    last = each.arrival;
  }
  EXPECT_NEAR(seconds(last) / 4000, 0.5, 0.03);  // The mean gap; its standard error is 0.008.
  const Workload same =
      parse(kShort + seeds(4000) + "[arrivals]\nmean_interval = '500 ms'\nseed = 3\n");
  EXPECT_EQ(same.jobs.back().arrival, last);
  const Workload other =
      parse(kShort + seeds(4000) + "[arrivals]\nmean_interval = '500 ms'\nseed = 4\n");
  EXPECT_NE(other.jobs.back().arrival, last);
}

TEST(WorkloadFile, AJobThatSaysWhenItArrivesIsNotDrawn) {
  const std::string last = "[[job]]\nname='late'\nmodel='mlp'\nlayers=1\nwidth=8\ncontext=4\n";
  const Workload workload = parse(kShort + seeds(2) + last +
                                  "batch=1\nminibatches=1\narrival_s=0\n[arrivals]\nper_hour=1\n");
  EXPECT_GT(workload.jobs.at(1).arrival, workload.jobs.at(0).arrival);
  EXPECT_GT(workload.jobs.at(0).arrival, Duration{});
  EXPECT_EQ(workload.jobs.at(2).arrival, Duration{});
}

TEST(WorkloadFile, RefusesArrivalsThatAreNoProcess) {
  const auto error_of_arrivals = [](const std::string& text) {
    return error("[arrivals]\n" + text + job(""));
  };
  EXPECT_EQ(error_of_arrivals("seed = 1\n"),
            "w.toml:1: per_hour: missing in [arrivals]; or give mean_interval");
  EXPECT_EQ(error_of_arrivals("per_hour = 1\nmean_interval = '1 h'\n"),
            "w.toml:1: mean_interval: says the same as per_hour; take one out");
  EXPECT_EQ(error_of_arrivals("per_hour = 0\n"), "w.toml:2: per_hour: must be above 0");
  EXPECT_EQ(error_of_arrivals("mean_interval = '0 s'\n"),
            "w.toml:2: mean_interval: must be above 0");
  EXPECT_EQ(error_of_arrivals("per_hour = 1e-300\n").substr(0, 50),
            "w.toml:1: arrivals: must be below 1e9 seconds, is ");
  EXPECT_EQ(error_of_arrivals("process = 'gamma'\n"),
            "w.toml:2: process: \"gamma\" is no process; there is poisson");
  EXPECT_EQ(error("arrivals = 3\n" + job("")), "w.toml:1: arrivals: must be a table: [arrivals]");
}

TEST(WorkloadFile, EpochsOverADatasetAreMinibatches) {
  const auto minibatches = [](const std::string& keys) {
    std::string text = job(keys);
    text.erase(text.find("minibatches = 3\n"), 16);
    return parse(text).jobs.at(0).minibatches;
  };
  EXPECT_EQ(minibatches("epochs = 2\ndataset_sequences = 10\n"), 5);  // 20 sequences, 4 each.
  EXPECT_EQ(minibatches("epochs = 3\ndataset_sequences = 7\n"), 6);   // 21: the last is smaller.
  EXPECT_EQ(minibatches("epochs = 1\ndataset_sequences = 1\n"), 1);
  EXPECT_EQ(error(job("epochs = 2\ndataset_sequences = 10\n")),
            "w.toml:9: minibatches: says the same as epochs; take one out");
  EXPECT_EQ(parse(job("dataset_sequences = 10\n")).jobs.at(0).minibatches, 3);
}

TEST(WorkloadFile, RefusesEpochsThatSayNoLength) {
  EXPECT_EQ(error_with("epochs = 0"), "w.toml:2: epochs: must be at least 1, is 0");
  std::string text = job("epochs = 1000000000000\n");
  text.erase(text.find("minibatches = 3\n"), 16);
  EXPECT_EQ(error(text), "w.toml:1: dataset_sequences: missing in this job: epochs needs it");
  EXPECT_EQ(error(text + "dataset_sequences = 1000000000000\n"),
            "w.toml:9: epochs: gives 1e+24 sequences, which are too many minibatches");
  EXPECT_EQ(error(text + "dataset_sequences = 5\n"),
            "w.toml:9: epochs: gives 5e+12 sequences, which are too many minibatches");
}

TEST(WorkloadFile, AJobsEpochsReplaceTheDefaultsMinibatches) {
  std::string text = job("epochs = [1, 2]\n");
  text.erase(text.find("minibatches = 3\n"), 16);
  const Workload workload = parse("[defaults]\nminibatches = 9\ndataset_sequences = 8\n" + text);
  EXPECT_EQ(workload.jobs.at(0).minibatches, 2);
  EXPECT_EQ(workload.jobs.at(1).minibatches, 4);
}

TEST(WorkloadFile, PrioritiesAreIntegers) {
  EXPECT_EQ(parse(job("")).jobs.at(0).priority, 0);
  EXPECT_EQ(parse(job("priority = -3\n")).jobs.at(0).priority, -3);
  EXPECT_EQ(error_with("priority = 1.5"),
            "w.toml:2: priority: must be an integer, is a number with a fraction");
  EXPECT_EQ(error_with("priority = 1000001"),
            "w.toml:2: priority: must be at most 1000000, is 1000001");
}

TEST(WorkloadFile, WritesWhatReadsBack) {
  Workload workload = parse(
      "[[job]]\nmodel = \"gpt\"\nlayers = 2\nwidth = 8\nheads = 2\ncontext = 4\nbatch = [1, 2]\n"
      "minibatches = 9\noptimizer = \"sgd\"\nlearning_rate = 0.1\nmomentum = 0.3\nweight_decay = "
      "1e-5\ndropout = 0.2\nprecision = \"bf16\"\nseed = 4\narrival_s = 1.25\npriority = "
      "-2\nlora_rank = 3\nbase = \"b\"\nstop_after = 5\n"
      "[[job]]\nname = \"a \\\"b\\\"\"\nmodel = \"mlp\"\nlayers = 1\nwidth = 1\ncontext = 1\n"
      "batch = 1\nminibatches = 1\nfrozen_layers = 1\n");
  workload.jobs[2].data = "/texts";
  const std::string text = workload_toml(workload);
  const Workload back = parse(text);
  EXPECT_EQ(workload_toml(back), text);
  ASSERT_EQ(back.jobs.size(), 3u);
  for (std::size_t j = 0; j < 3; ++j) {
    const Job& was = workload.jobs[j];
    const Job& is = back.jobs[j];
    EXPECT_EQ(is.name, was.name);
    EXPECT_EQ(is.model, was.model);
    EXPECT_EQ(is.optimizer, was.optimizer);
    EXPECT_EQ(std::tie(is.batch, is.minibatches, is.seed, is.data, is.arrival, is.priority),
              std::tie(was.batch, was.minibatches, was.seed, was.data, was.arrival, was.priority));
    EXPECT_EQ(std::tie(is.frozen_layers, is.lora_rank, is.base, is.stop_after),
              std::tie(was.frozen_layers, was.lora_rank, was.base, was.stop_after));
  }
}

}  // namespace
}  // namespace shardlab
