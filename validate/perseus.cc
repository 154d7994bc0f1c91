#include "validate/perseus.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include <Eigen/Core>
#include <fmt/format.h>

#include "core/error.h"
#include "core/parallel.h"
#include "fit/non_negative_fit.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string name;  ///< Path below the folder, with slashes.
  std::string machine;
  char half = 'a';
  PerseusRun run;
  std::shared_ptr<const PipelineReplay> replay;  ///< Shared by runs of the same shape.
};

using Iterations = std::span<const PerseusIteration>;

std::string machine_of(const fs::path& folder, const fs::path& path, int stages) {
  const bool below = std::distance(path.begin(), path.end()) > 1;
  fs::path name = below ? *path.begin() : fs::canonical(folder).filename();
  return fmt::format("{}, {} stage{}", name.string(), stages, stages == 1 ? "" : "s");
}

/// Those that can be read.
std::vector<Source> read_all(const std::string& folder, std::size_t threads,
                             std::vector<PerseusRefused>& refused) {
  const std::vector<fs::path> paths = perseus_files(folder);
  std::vector<Source> sources(paths.size());
  std::vector<std::string> wrong(paths.size());
  parallel_for(paths.size(), threads, [&](std::size_t i) {
    Source& source = sources[i];
    source.name = paths[i].generic_string();
    try {
      source.run = read_perseus((fs::path(folder) / paths[i]).string());
      source.machine = machine_of(folder, paths[i], source.run.stages);
    } catch (const Error& error) {
      wrong[i] = error.what();
    }
  });
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!wrong[i].empty()) refused.push_back({sources[i].name, wrong[i]});
  }
  std::erase_if(sources, [](const Source& source) { return source.machine.empty(); });
  if (sources.empty()) throw Error(refused.front().reason);
  std::map<std::string, std::size_t> seen;
  std::map<std::pair<int, int>, std::shared_ptr<const PipelineReplay>> shapes;
  for (Source& source : sources) {
    source.half = seen[source.machine]++ % 2 == 0 ? 'a' : 'b';
    const int stages = source.run.stages, microbatches = source.run.microbatches;
    auto& replay = shapes[{stages, microbatches}];
    if (!replay) replay = std::make_shared<PipelineReplay>(stages, microbatches);
    source.replay = replay;
  }
  return sources;
}

/// The one whose measured time is the median: outliers of a run stay out of the fit.
const PerseusIteration& typical(const PerseusRun& run) {
  std::vector<const PerseusIteration*> order;
  for (const PerseusIteration& each : run.iterations) order.push_back(&each);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->measured < b->measured; });
  return *order[(order.size() - 1) / 2];
}

PipelineOverheads overheads_of(const Eigen::VectorXd& parameters_s) {
  const auto duration = [](double s) { return Duration(std::llround(s * 1e9)); };
  return {duration(parameters_s[0]), duration(parameters_s[1])};
}

/// Requires that `source` outlives it.
FitCase fit_case(const Source& source) {
  const PerseusIteration& iteration = typical(source.run);
  const auto model = [&](const Eigen::VectorXd& parameters_s) {
    return seconds(source.replay->simulated(iteration, overheads_of(parameters_s)));
  };
  return {seconds(iteration.measured), model};
}

/// Both halves of every machine.
std::vector<PerseusFit> fit_all(const std::vector<Source>& sources, std::size_t threads) {
  std::map<std::pair<std::string, char>, std::vector<FitCase>> groups;
  for (const Source& source : sources) {
    for (const char half : {'a', 'b'}) groups.try_emplace({source.machine, half});
    groups[{source.machine, source.half}].push_back(fit_case(source));
  }
  const Eigen::Vector2d steps{1e-4, 1e-3};  // 0.1 ms and 1 ms.
  std::vector<PerseusFit> fits;
  for (const auto& [key, cases] : groups) {
    const Eigen::VectorXd found = fit_non_negative(cases, steps, threads);
    fits.push_back({key.first, key.second, cases.size(), overheads_of(found)});
  }
  return fits;
}

/// Predicted from the iterations `from`, measured over the iterations `of`; medians.
ValidatedRun compared(const Source& source, Iterations from, Iterations of,
                      const PipelineOverheads& overheads) {
  std::vector<double> predicted, measured;
  for (const PerseusIteration& each : from) {
    predicted.push_back(seconds(source.replay->simulated(each, overheads)));
  }
  for (const PerseusIteration& each : of) measured.push_back(seconds(each.measured));
  return {source.name, interpolated_median(std::move(predicted)),
          interpolated_median(std::move(measured))};
}

Duration median_of(const PerseusRun& run, Iterations iterations, int stage,
                   Duration PerseusPass::*what) {
  std::vector<double> values;
  for (const PerseusIteration& each : iterations) {
    for (int m = 0; m < run.microbatches; ++m) {
      values.push_back(static_cast<double>((run.pass(each, stage, m).*what).count()));
    }
  }
  return Duration(std::llround(interpolated_median(std::move(values))));
}

/// An iteration all of whose passes take their stage's medians.
PerseusIteration medians(const PerseusRun& run, Iterations iterations) {
  PerseusIteration result;
  for (int s = 0; s < run.stages; ++s) {
    const auto of = [&](auto what) { return median_of(run, iterations, s, what); };
    const PerseusPass pass{of(&PerseusPass::load), of(&PerseusPass::forward),
                           of(&PerseusPass::backward)};
    result.passes.insert(result.passes.end(), static_cast<std::size_t>(run.microbatches), pass);
  }
  return result;
}

PerseusPrediction predict(const Source& source, const PipelineOverheads& overheads) {
  const PerseusRun& run = source.run;
  const Iterations all = run.iterations;
  PerseusPrediction result{compared(source, all, all, overheads), compared(source, all, all, {}),
                           std::nullopt, source.machine, source.half};
  if (all.size() >= 2) {
    const PerseusIteration seen = medians(run, all.first(all.size() / 2));
    result.blind = compared(source, {&seen, 1}, all.subspan(all.size() / 2), overheads);
  }
  return result;
}

}  // namespace

std::vector<fs::path> perseus_files(const std::string& folder) {
  std::error_code failed;
  const fs::file_status status = fs::status(folder, failed);
  if (!fs::exists(status)) throw Error(folder + ": there is no such folder");
  if (!fs::is_directory(status)) throw Error(folder + ": is no folder; give the one that holds it");
  std::vector<fs::path> found;
  fs::recursive_directory_iterator each(folder, fs::directory_options::follow_directory_symlink,
                                        failed);
  for (; !failed && each != fs::recursive_directory_iterator(); each.increment(failed)) {
    const fs::path& path = each->path();
    std::error_code ignored;
    if (path.filename().string().ends_with(kProfileSuffix) && !each->is_directory(ignored)) {
      found.push_back(path.lexically_relative(folder));
    }
  }
  if (failed) throw Error(folder + ": cannot read: " + failed.message());
  if (found.empty()) {
    throw Error(folder + ": holds no *.prof.json; Perseus's profiles are named like " +
                "gpt3-xl.custom_dp1_pp4_tp1_mbs8_nmb128.0.prof.json");
  }
  std::sort(found.begin(), found.end());
  return found;
}

PerseusValidation validate_perseus(const std::string& folder, std::size_t threads) {
  PerseusValidation result;
  const std::vector<Source> sources = read_all(folder, threads, result.refused);
  result.fits = fit_all(sources, threads);
  std::map<std::pair<std::string, char>, PipelineOverheads> by_other_half;
  for (const PerseusFit& fit : result.fits) {
    by_other_half[{fit.machine, fit.half == 'a' ? 'b' : 'a'}] = fit.overheads;
    if (fit.runs > 0) continue;
    result.warnings.push_back(fit.machine +
                              ": a single run, so there is no other to fit transfer " +
                              "and step on; it is predicted without them");
  }
  result.runs.resize(sources.size());
  parallel_for(sources.size(), threads, [&](std::size_t i) {
    const Source& source = sources[i];
    result.runs[i] = predict(source, by_other_half.at({source.machine, source.half}));
  });
  for (const PerseusPrediction& run : result.runs) {
    if (run.blind) continue;
    result.warnings.push_back(run.replay.name +
                              ": one iteration after warm-up, no blind prediction");
  }
  return result;
}

}  // namespace shardlab
