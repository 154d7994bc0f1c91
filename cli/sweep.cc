#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/estimates.h"
#include "cli/noise.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "cli/prediction.h"
#include "cli/replication.h"
#include "cli/result.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/parallel.h"
#include "policies/registry.h"
#include "report/bill.h"
#include "report/metrics.h"
#include "report/ranking.h"
#include "report/summary.h"
#include "traces/atomic_file.h"
#include "traces/csv_rows.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

struct Options {
  InputPaths paths;
  std::string strategies = "spill";
  std::vector<std::string> policies;
  std::vector<int> slots{2}, admits{0}, devices;
  std::vector<std::uint64_t> seeds{1};
  NoiseOptions noise;
  std::uint64_t noise_seed = 1;
  bool keep = false;
  std::size_t threads = default_threads();
  std::string output;
  ResultOption result;
  bool json = false;
};

/// One line of the sweep: a choice on a number of devices.
struct Point {
  PlanChoice choice;
  int devices = 0;
};

std::vector<Point> points(const Options& options) {
  std::vector<Point> all;
  for (const int devices : options.devices) {
    for (const StrategyChoice& strategy : parse_strategy_choices(options.strategies)) {
      for (const std::string& policy : options.policies) {
        for (const int slots : options.slots) {
          for (const int admit : options.admits) {
            for (const std::uint64_t seed : options.seeds) {
              all.push_back({{strategy, policy, slots, admit, !options.keep, seed, {}}, devices});
            }
          }
        }
      }
    }
  }
  return all;
}

/// The first `count` devices; more than there are repeat them.
Cluster resized(const Cluster& cluster, int count) {
  Cluster sized = cluster;
  sized.devices.clear();
  const std::size_t known = cluster.devices.size();
  for (std::size_t d = 0; d < static_cast<std::size_t>(count); ++d) {
    sized.devices.push_back(cluster.devices[d % known]);
    if (d >= known) sized.devices.back().name += fmt::format("+{}", d / known);
  }
  return sized;
}

/// Null where a plan cannot run; `reason` then says why. The members of `bill` follow, too.
ordered_json row(const Point& point, const std::optional<Prediction>& made, const Bill& bill,
                 const std::string& reason) {
  const PlanChoice& choice = point.choice;
  ordered_json row{{"plan", describe(choice)}, {"strategy", to_string(choice.strategy)},
                   {"policy", choice.policy},  {"slots", choice.slots},
                   {"admit", choice.admit},    {"recompute", choice.recompute},
                   {"seed", choice.seed},      {"devices", point.devices}};
  for (const char* key : {"predicted_s",
                          "naive_s",
                          "lower_bound_s",
                          "bound_by",
                          "gap",
                          "occupied",
                          "busy",
                          "useful",
                          "lane_copies",
                          "copy_wait",
                          "memory_wait",
                          "job_wait",
                          "dispatch",
                          "tail",
                          "reducing",
                          "lost",
                          "absent",
                          "bytes_moved",
                          "bytes_between_devices",
                          "peak_bytes"}) {
    row[key] = nullptr;
  }
  const ordered_json amounts = bill_json(bill);
  for (const auto& [key, value] : amounts.items()) row[key] = made ? value : nullptr;
  if (made) {
    Bytes peak = 0;
    for (const Bytes bytes : made->outcome.peak) peak = std::max(peak, bytes);
    row["predicted_s"] = seconds(made->outcome.makespan);
    row["naive_s"] = seconds(made->naive);
    const double bound = seconds(made->bounds.greatest());
    row["lower_bound_s"] = bound;
    row["bound_by"] = made->bounds.binding();
    row["gap"] = gap_over(seconds(made->outcome.makespan), bound);
    row.update(utilization_json(utilization(made->outcome)));
    row.update(idle_json(idle(made->outcome)));
    row["bytes_moved"] = made->bytes_moved();
    row["bytes_between_devices"] = made->outcome.between_devices;
    row["peak_bytes"] = peak;
  }
  row["reason"] = reason;
  return row;
}

/// A row, and the makespans of its replications where there is noise and it can run.
struct Swept {
  ordered_json row;
  std::vector<double> makespans;
  std::optional<double> interval = std::nullopt;  ///< See Prediction.
};

Swept simulate_point(const Inputs& inputs, const Point& point, const NoiseSource& noise,
                     std::size_t threads) {
  // All rows have the same columns: those of the whole cluster.
  Bill shown = bill(inputs.cluster, {}, std::vector<LaneTime>(inputs.cluster.devices.size()));
  const Inputs sized{inputs.workload, resized(inputs.cluster, point.devices), inputs.profile, {}};
  try {
    const Plan plan = make_plan(sized.workload, sized.cluster, sized.profile, point.choice);
    const Prediction made = predict(sized, plan, false);
    if (without_room(made.outcome) > 0) throw Error(without_room_text(made.outcome));
    if (shown.joules) shown.joules = made.bill.joules.value_or(0);
    if (shown.cost) shown.cost = made.bill.cost.value_or(0);
    Swept result{row(point, made, shown, ""), {}, made.interval};
    if (stops_early(sized.workload)) result.row["stopped"] = made.stopped;
    if (noise.replications > 0) {
      result.makespans = replicate(sized, made, noise, threads).makespan_s;
    }
    return result;
  } catch (const Error& error) {
    Swept refused{row(point, {}, shown, error.what()), {}};
    if (stops_early(sized.workload)) refused.row["stopped"] = nullptr;
    return refused;
  }
}

/// Points are independent of each other; their rows stand in order, whichever ends first. Threads
/// that are left over share the replications.
std::vector<Swept> simulate_points(const Inputs& inputs, const std::vector<Point>& points,
                                   const NoiseSource& noise, std::size_t threads) {
  std::vector<Swept> results(points.size());
  ProgressLine line;
  std::mutex mutex;
  std::size_t done = 0;
  const std::size_t each = std::max<std::size_t>(1, threads / points.size());
  parallel_for(points.size(), threads, [&](std::size_t i) {
    results[i] = simulate_point(inputs, points[i], noise, each);
    const std::lock_guard lock(mutex);
    line.update(fmt::format("{} of {} settings simulated", ++done, points.size()));
  });
  return results;
}

/// Mean makespan and, among those with as many devices, how far above the best.
void add_noise_columns(std::vector<Swept>& results) {
  std::map<int, std::vector<Swept*>> by_devices;
  for (Swept& result : results) {
    for (const char* key : {"mean_s", "half_width_s", "above_best_s", "above_best_low_s",
                            "above_best_high_s", "verdict"}) {
      result.row[key] = nullptr;
    }
    if (!result.makespans.empty()) by_devices[result.row["devices"]].push_back(&result);
  }
  for (const auto& [devices, group] : by_devices) {
    std::vector<std::vector<double>> makespans;
    for (const Swept* each : group) makespans.push_back(each->makespans);
    const std::vector<AgainstBest> against = against_best(makespans);
    for (std::size_t i = 0; i < group.size(); ++i) {
      ordered_json& row = group[i]->row;
      const auto& [difference, verdict] = against[i];
      const MeanInterval mean = mean_interval(makespans[i]);
      row["mean_s"] = mean.mean;
      row["above_best_s"] = difference.mean;
      if (!mean.half_width) continue;
      row["half_width_s"] = *mean.half_width;
      row["above_best_low_s"] = difference.mean - *difference.half_width;
      row["above_best_high_s"] = difference.mean + *difference.half_width;
      row["verdict"] = verdict;
    }
  }
}

/// Of all numbers of devices, each once.
std::vector<std::string> warnings_of(const Inputs& inputs, const std::vector<int>& devices) {
  std::vector<std::string> warnings;
  Inputs sized = inputs;
  for (const int count : devices) {
    sized.cluster = resized(inputs.cluster, count);
    for (const std::string& each : profile_warnings(sized, "")) {
      if (std::find(warnings.begin(), warnings.end(), each) == warnings.end()) {
        warnings.push_back(each);
      }
    }
  }
  return warnings;
}

std::optional<double> widest(const std::vector<Swept>& results) {
  std::optional<double> most;
  for (const Swept& each : results) most = std::max(most, each.interval);
  return most;
}

ordered_json sweep_json(Options options) {
  keep_shared_objects(options.policies);
  const NoiseSource noise(options.noise, options.noise_seed);
  const Inputs inputs = read_inputs(options.paths);
  if (options.devices.empty()) {
    options.devices.push_back(static_cast<int>(inputs.cluster.devices.size()));
  }
  if (options.policies.empty()) {
    for (const PolicyInfo& policy : known_policies()) {
      if (policy.usual) options.policies.emplace_back(policy.name);
    }
  }
  auto warnings = warnings_of(inputs, options.devices);
  auto results = simulate_points(inputs, points(options), noise, options.threads);
  if (const auto interval = widest(results)) {
    warnings.push_back(estimate_text(inputs, *interval));
  }
  if (noise.replications > 0) add_noise_columns(results);
  ordered_json body{{"rows", ordered_json::array()}, {"warnings", warnings}};
  for (Swept& result : results) body["rows"].push_back(std::move(result.row));
  if (noise.replications > 0) body["noise"] = noise_json(noise);
  return json_document("sweep", body);
}

int sweep(const Options& options) {
  std::optional<InputRecording> recording;
  if (options.result.wanted()) recording.emplace();
  const ordered_json document = sweep_json(options);
  print_warnings(document["warnings"].get<std::vector<std::string>>());
  if (recording) {
    options.result.write(options.result.result(*recording, options.noise_seed, document));
  }
  const std::string text = options.json ? document.dump(1) + "\n" : csv_text(document["rows"]);
  if (options.output.empty()) {
    print_text(text);
  } else {
    write_file_atomically(options.output, text);
  }
  return 0;
}

std::shared_ptr<Options> declare_options(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  add_profile_file(app, options->paths);
  app.add_option("--strategies", options->strategies, "list, see simulate --help (spill)")
      ->check(strategies());
  app.add_option("--policies", options->policies, "list, see simulate --help (the usual)")
      ->delimiter(',')
      ->check(policies());
  app.add_option("--slots", options->slots, "list (2)")->delimiter(',')->check(CLI::Range(1, 16));
  app.add_option("--admit", options->admits, "list, 0 for all jobs at once (0)")
      ->delimiter(',')
      ->check(non_negative());
  app.add_option("--devices", options->devices,
                 "list: the cluster's first devices, repeated beyond its number (all)")
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000));
  app.add_option("--seeds", options->seeds, "of policies that draw: list (1)")->delimiter(',');
  app.add_flag("--keep-activations", options->keep, "model_parallel without recomputation");
  add_noise_options(app, options->noise);
  app.add_option("--seed", options->noise_seed, "of --noise (1)")->check(non_negative());
  app.add_option("--threads", options->threads, "settings simulated at once (all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("-o,--output", options->output, "file instead of stdout");
  options->result.declare(app, {"--output"});
  app.add_flag("--json", options->json, "JSON instead of CSV (docs/formats.md)");
  return options;
}

}  // namespace

Computation recompute_sweep(CLI::App& app) {
  const auto options = declare_options(app);
  return [options] { return sweep_json(*options); };
}

Action declare_sweep(CLI::App& app) {
  const auto options = declare_options(app);
  app.footer(
      "With --noise, settings with as many devices are compared by the same draws: how far each "
      "is above the one\n"
      "with the smallest mean makespan, the 95 % interval of that, and a tie where it holds 0.\n"
      "Examples:\n"
      "  shardlab sweep workload.toml cluster.toml -p profile.json --policies lrtf,fifo --slots "
      "1,2 --devices 1,2,4 -o sweep.csv\n"
      "  shardlab sweep workload.toml cluster.toml -p profile.json --noise lognormal:0.1 "
      "--replications 100 --seed 7");
  return [options] { return sweep(*options); };
}

}  // namespace shardlab
