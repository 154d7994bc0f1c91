#include "study/study.h"

#include <cstdlib>
#include <numeric>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "study/best_slots.h"
#include "study/builtin_grids.h"
#include "study/instance.h"
#include "study/report.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "traces/cluster_file.h"
#include "traces/csv.h"
#include "traces/csv_rows.h"
#include "traces/plan_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

StudyGrid grid(const std::string& more = "") {
  return parse_study_grid(
      "name = \"small\"\ninstances = 3\npolicies = [\"lrtf\", \"srtf\", \"random\"]\n"
      "slots = [1, 2]\n" +
          more +
          "[[jobs]]\nname = \"equal\"\ncount = 3\nequal = true\nshards = 3\nminibatches = 2\n"
          "time = \"6 s\"\nspread = 0.5\n"
          "[[jobs]]\nname = \"drawn\"\ncount = 5\nshards = [1, 4]\nminibatches = [1, 3]\n"
          "time = [\"2 s\", \"8 s\"]\nspread = 0.5\n"
          "[[devices]]\nname = \"mixed\"\ncount = 2\nspeeds = [1, 0.5]\n"
          "[[transfer]]\nlink = \"none\"\n"
          "[[transfer]]\nlink = \"shared\"\nload = [0.5]\n",
      "grid.toml");
}

Study run(const StudyGrid& grid, std::uint64_t seed = 1, std::size_t threads = 1) {
  return run_study(grid, seed, threads, [](std::size_t, std::size_t) { return true; });
}

const StudyCell& cell(const std::vector<StudyCell>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(),
                       [&](const StudyCell& each) { return each.name() == name; });
}

Duration computing(const StudyInstance& drawn) {
  const Program program = lower(drawn.workload, drawn.cluster, drawn.profile, drawn.plan);
  Duration sum{};
  for (const JobProgram& job : program.jobs) sum += job.minibatches * minibatch_time(job);
  return sum;
}

TEST(StudyInstance, AJobComputesForTheDrawnTime) {
  const StudyInstance drawn = draw_instance(cell(cells(grid()), "equal/mixed/none/1"), 1, 1);
  EXPECT_NEAR(seconds(computing(drawn)), 3 * 6, 1e-6);
}

TEST(StudyInstance, JobsDoNotDependOnDevicesTransferAndSlots) {
  const auto all = cells(grid());
  const StudyInstance one = draw_instance(cell(all, "drawn/mixed/none/1"), 4, 2);
  const StudyInstance other = draw_instance(cell(all, "drawn/mixed/shared 0.5/2"), 4, 2);
  ASSERT_EQ(one.workload.jobs.size(), 5u);
  EXPECT_EQ(workload_toml(one.workload), workload_toml(other.workload));
  EXPECT_EQ(computing(one), computing(other));
  const StudyInstance next = draw_instance(cell(all, "drawn/mixed/none/1"), 4, 3);
  const StudyInstance seeded = draw_instance(cell(all, "drawn/mixed/none/1"), 5, 2);
  EXPECT_NE(computing(one), computing(next));
  EXPECT_NE(computing(one), computing(seeded));
}

TEST(StudyInstance, ALoadIsWhatAShardTakesOnTheLinkOverAUnit) {
  StudyGrid plain = grid();
  for (DrawnJobs& jobs : plain.jobs) jobs.spread = 0;
  const StudyInstance drawn = draw_instance(cell(cells(plain), "equal/mixed/shared 0.5/2"), 1, 1);
  const LayerCost& layer = drawn.profile.models.at(0).layers.at(0);
  const double load_s =
      static_cast<double>(layer.parameters) / drawn.cluster.devices.at(0).link.bytes_per_second;
  EXPECT_NEAR(load_s, 0.5 * 6 / (2 * 5), 1e-9) << "6 s are 2 minibatches of 5 units";
  EXPECT_EQ(drawn.cluster.switches.at(0).bytes_per_second,
            drawn.cluster.devices.at(0).link.bytes_per_second);
}

TEST(StudyInstance, MemoryIsASettingWhereThereAreTransfersAndRoom) {
  StudyGrid roomy = grid("memory = [1, 2, 6]\n");
  roomy.jobs.resize(1);
  std::string names;
  for (const StudyCell& each : cells(roomy)) names += each.name() + "\n";
  EXPECT_EQ(names,
            "equal/mixed/none/1\nequal/mixed/none/2\n"
            "equal/mixed/shared 0.5/1\nequal/mixed/shared 0.5/1 in 2\n"
            "equal/mixed/shared 0.5/1 in 6\nequal/mixed/shared 0.5/2\n"
            "equal/mixed/shared 0.5/2 in 6\n");
  const auto memory = [&](const char* name) {
    return draw_instance(cell(cells(roomy), name), 1, 1).cluster.devices.at(0).memory;
  };
  EXPECT_EQ(memory("equal/mixed/shared 0.5/2 in 6"), 3 * memory("equal/mixed/shared 0.5/2"));
}

TEST(StudyInstance, ItsFilesReadBackAndSimulateAlike) {
  const StudyInstance drawn = draw_instance(cell(cells(grid()), "drawn/mixed/shared 0.5/2"), 1, 1);
  const Workload workload = parse_workload(workload_toml(drawn.workload), "w.toml");
  const Cluster cluster = parse_cluster(cluster_toml(drawn.cluster), "c.toml");
  const Profile profile = parse_profile(profile_json(drawn.profile));
  const Plan plan = parse_plan(plan_json(drawn.plan));
  const Program program = lower(workload, cluster, profile, plan);
  EstimatedCosts costs(program);
  const auto policy = make_policy("lrtf", program, 1);
  const Study study = run(grid());
  const auto found = std::find_if(study.cells.begin(), study.cells.end(), [](const auto& each) {
    return each.cell.name() == "drawn/mixed/shared 0.5/2";
  });
  EXPECT_EQ(simulate(program, cluster, *policy, costs, nullptr).makespan.time_since_epoch(),
            found->policies.at(0).makespans.at(0));
}

TEST(Study, SameSeedSameBytesOnAnyThreads) {
  const std::string one = study_json({run(grid(), 3, 1)}).dump();
  EXPECT_EQ(one, study_json({run(grid(), 3, 2)}).dump());
  EXPECT_NE(one, study_json({run(grid(), 4, 2)}).dump());
}

// Ctrl-C, for example.
TEST(Study, ThatEndsEarlyIsThatOfTheInstancesThatAllSettingsHave) {
  const StudyGrid whole = grid();
  const auto ended_after = [&](std::size_t instances, std::size_t threads) {
    return run_study(whole, 1, threads,
                     [=](std::size_t done, std::size_t) { return done < instances; });
  };
  const std::size_t settings = cells(whole).size();
  for (const std::size_t more : {std::size_t{0}, settings - 1}) {
    const Study cut = ended_after(2 * settings + more, 1);
    StudyGrid fewer = whole;
    fewer.instances = 2;
    EXPECT_EQ(study_json({cut}), study_json({run(fewer)}));
    EXPECT_EQ(cut.wanted, 3);
  }
  const Study side_by_side = ended_after(2 * settings, 4);
  EXPECT_GE(side_by_side.grid.instances, 1);
  EXPECT_TRUE(ended_after(settings - 1, 1).cells.empty());
  EXPECT_EQ(ended_after(3 * settings, 1).grid.instances, 3);
}

TEST(Study, NamesFileLineAndSettingOfAPolicyThatFails) {
  const auto error = [](const std::string& policy) {
    const std::string text =
        "name = \"mine\"\ninstances = 1\nbaseline = \"lrtf\"\npolicies = [\n"
        "  \"lrtf\",\n  \"" +
        policy +
        "\"]\n"
        "[[jobs]]\nname = \"few\"\ncount = 2\nshards = 1\nminibatches = 1\n"
        "time = \"1 s\"\n[[devices]]\nname = \"two\"\ncount = 2\n"
        "[[transfer]]\nlink = \"none\"\n";
    return error_of([&] { run(parse_study_grid(text, "mine.toml"), /*seed=*/9); });
  };
  EXPECT_EQ(error("best").find("mine.toml:6: policies: \"best\" is no policy; there are "), 0U);
  EXPECT_EQ(error("lrtf"), "mine.toml:6: policies: lrtf twice; name each policy once");
  EXPECT_EQ(error("./nowhere.so").find("mine.toml:6: policies: policy ./nowhere.so: cannot be"),
            0U);
  const std::string bad = std::getenv("SHARDLAB_BAD_POLICY");  // By these seeds it takes nothing.
  EXPECT_EQ(error(bad).find("mine.toml:6: policies: mine/few/two/none/2, instance 1: " + bad +
                            ": policy " + bad + ": nothing can run any more although jobs are "),
            0U)
      << error(bad);
}

TEST(Study, OtherSettingsChangeNoSetting) {
  StudyGrid fewer = grid();
  fewer.jobs.erase(fewer.jobs.begin());
  fewer.slots = {2};
  fewer.policies = {"srtf", "lrtf"};
  const Study few = run(fewer), all = run(grid());
  EXPECT_EQ(few.cells.at(1).cell.name(), all.cells.at(7).cell.name());
  EXPECT_EQ(few.cells.at(1).bounds, all.cells.at(7).bounds);
  EXPECT_EQ(few.cells.at(1).policies.at(1).makespans, all.cells.at(7).policies.at(0).makespans);
}

TEST(Study, NoMakespanIsBelowItsBound) {
  for (const CellResult& result : run(grid()).cells) {
    for (const PolicyInCell& policy : result.policies) {
      for (std::size_t i = 0; i < result.bounds.size(); ++i) {
        EXPECT_GE(policy.makespans[i], result.bounds[i]) << result.cell.name();
      }
    }
  }
}

TEST(Study, TheDifferencesArePaired) {
  const Study study = run(grid());
  const CellResult& result = study.cells.at(5);
  const auto& lrtf = result.policies.at(0);
  const auto& srtf = result.policies.at(1);
  double sum = 0, worst = -1;
  for (std::size_t i = 0; i < 3; ++i) {
    const double over = seconds(srtf.makespans[i]) / seconds(lrtf.makespans[i]) - 1;
    sum += over;
    worst = std::max(worst, over);
  }
  EXPECT_NEAR(srtf.against_baseline.mean, sum / 3, 1e-12);
  EXPECT_NEAR(srtf.worst_against_baseline, worst, 1e-12);
  EXPECT_EQ(lrtf.against_baseline.mean, 0);
  EXPECT_EQ(lrtf.against_baseline.half_width.value(), 0);
}

TEST(Study, NamesWhatItCannotDo) {
  EXPECT_EQ(error_of([] { run(grid("baseline = \"fifo\"\n")); }),
            "grid.toml: the baseline \"fifo\" is not among the policies; add it");
  StudyGrid unknown = grid();
  unknown.policies = {"lrtf", "best"};
  EXPECT_EQ(error_of([&] { run(unknown); }).find("grid.toml:3: policies: \"best\" is no policy"),
            0u);
  StudyGrid endless = grid();
  endless.instances = 1'000'000;
  EXPECT_NE(error_of([&] { run(endless); }).find("take fewer instances"), std::string::npos);
}

// Without copies slots alone differ; with them, without `memory`, room differs too.
TEST(Study, EachPolicyHasItsBestSlotsWhereTheseAreChosen) {
  const Study plain = run(grid());
  const std::vector<BestSlots> settings = at_best_slots(plain);
  ASSERT_EQ(settings.size(), 2u * (1 + 2));
  EXPECT_EQ(at_best_slots(run(grid("memory = [2]\n"))).size(), 2u * (1 + 1));
  ASSERT_EQ(settings[0].cells.size(), 2u);
  std::size_t other_slots = 0;
  for (const BestSlots& setting : settings) {
    double least = 1e9;
    for (std::size_t p = 0; p < setting.policies.size(); ++p) {
      const BestSlots::Choice& choice = setting.policies[p];
      for (const CellResult* cell : setting.cells) {
        EXPECT_LE(choice.result->gap.mean, cell->policies[p].gap.mean);
      }
      least = std::min(least, choice.result->gap.mean);
      other_slots += choice.cell->cell.slots != setting.policies[0].cell->cell.slots ? 1 : 0;
    }
    for (const BestSlots::Choice& choice : setting.policies) {
      EXPECT_NEAR(choice.against.difference.mean, choice.result->gap.mean - least, 1e-12);
    }
    EXPECT_EQ(setting.policies[0].over_baseline, 0);
  }
  EXPECT_GT(other_slots, 0u);
}

TEST(Study, APageHasNoTwoBlankLinesInARow) {
  EXPECT_EQ(study_markdown({run(grid())}, "Made.").find("\n\n\n"), std::string::npos);
}

TEST(Study, TheCsvReadsBack) {
  const std::string text = csv_text(study_rows({run(grid())}));
  CsvReader csv(text, "study.csv");
  std::size_t rows = 0;
  for (; csv.next(); ++rows) {
    EXPECT_GE(csv_number(csv[csv.column("mean_gap")]), 0);
    EXPECT_GE(csv_number(csv[csv.column("worst_gap")]), csv_number(csv[csv.column("mean_gap")]));
    EXPECT_EQ(csv[csv.column("baseline")], "lrtf");
  }
  EXPECT_EQ(rows, 2u * 2 * 2 * 3);
}

TEST(Study, TheLatexIsBalanced) {
  const std::string text = study_latex({run(grid())}, "made by 100 %");
  const auto count = [&](const std::string& what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(text.find("% made by"), 0u);
  // Four overviews, two on transfer and slots, two of each kind of jobs.
  EXPECT_EQ(count("\\begin{table}"), 10u);
  for (const char* what : {"table", "tabular"}) {
    EXPECT_EQ(count(std::string("\\begin{") + what + "}"),
              count(std::string("\\end{") + what + "}"));
  }
  EXPECT_EQ(count("{"), count("}"));
  EXPECT_EQ(count("±"), 0u);
  EXPECT_EQ(count("round_robin"), 0u);
}

TEST(Study, TheGridsThatComeAlongAreRead) {
  for (const BuiltinGrid& each : builtin_grids()) {
    EXPECT_EQ(parse_study_grid(each.toml, std::string(each.name)).name, each.name);
  }
}

/// The grid of docs/study.md, with fewer instances and these policies, lrtf first.
Study comes_along(const std::vector<std::string>& policies, std::uint64_t instances) {
  StudyGrid policies_grid = parse_study_grid(builtin_grids()[0].toml, "policies");
  policies_grid.policies = policies;
  policies_grid.instances = static_cast<std::int64_t>(instances);
  return run(policies_grid, 1, 2);
}

// The bars of docs/design.md, Policies, in every setting of that page. The first: 132 of them.
TEST(SharpInTheStudy, IsNowhereOnePercentWorseThanLrtf) {
  for (const CellResult& result : comes_along({"lrtf", "sharp"}, instances::seeds(2)).cells) {
    EXPECT_LE(result.policies.at(1).against_baseline.mean, 0.01) << result.cell.name();
  }
}

TEST(SharpInTheStudy, IsNearTheBestWhereTheSharedLinkIsSaturatedAndMemoryHoldsEightUnits) {
  const Study study = comes_along({"lrtf", "sharp", "task_parallel", "sticky", "hold", "random"},
                                  instances::seeds(1));
  int settings = 0;
  for (const CellResult& result : study.cells) {
    const bool saturated =
        result.cell.transfer.name == "shared 0.5" || result.cell.transfer.name == "shared 1";
    if (!saturated || result.cell.memory != 8) continue;
    EXPECT_LE(result.policies.at(1).over_best.mean, 0.1) << result.cell.name();
    EXPECT_GE(result.policies.at(0).over_best.mean, 1) << result.cell.name();
    ++settings;
  }
  EXPECT_EQ(settings, 24);
}

// With so many claims as jobs a device could hold all of them.
TEST(SharpInTheStudy, LeavesJobsToOthersHoweverManyItMayClaim) {
  const Study study = comes_along({"lrtf", "sharp"}, 1);
  const auto of = [&](const std::string& setting) {
    return seconds(std::find_if(study.cells.begin(), study.cells.end(),
                                [&](const auto& each) { return each.cell.name() == setting; })
                       ->policies.at(1)
                       .makespans.at(0));
  };
  for (const char* kind :
       {"homogeneous/identical/shared 0.5/", "heterogeneous/mixed/dedicated 1/"}) {
    EXPECT_EQ(of(std::string(kind) + "8"), of(std::string(kind) + "2 in 8"));
  }
}

// 3 models × (1 + 2 + 1) s on 2 devices: 6 s, as Hydra's Fig. 6 has it for SHARP.
TEST(Study, FigureSixTakesSixPasses) {
  const Study study = run(parse_study_grid(builtin_grids()[1].toml, "fig6"));
  EXPECT_EQ(study.cells.at(0).bounds.at(0), Duration{6'000'000'000});
  EXPECT_EQ(study.cells.at(0).policies.at(0).makespans.at(0), Duration{6'000'000'000});
}

TEST(Study, EqualResultsTieAlsoInOneInstance) {
  StudyGrid one = grid();
  one.instances = 1;
  one.policies = {"lrtf", "srtf"};
  const Study study = run(one);
  for (const CellResult& result : study.cells) {
    const bool equal = result.policies[0].makespans == result.policies[1].makespans;
    const bool both = result.policies[0].ties_with_best() && result.policies[1].ties_with_best();
    EXPECT_EQ(equal, both) << result.cell.name();
  }
  EXPECT_NE(study_markdown({study}, "").find("| lrtf |"), std::string::npos);
}

}  // namespace
}  // namespace shardlab
