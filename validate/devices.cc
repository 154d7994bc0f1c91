#include "validate/devices.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "report/table.h"
#include "traces/perseus_file.h"
#include "validate/perseus.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

/// What one run says of a device; seconds per sample, over all stages.
struct DeviceRun {
  std::string device, model;
  int stages = 0, samples = 0;  ///< Of a microbatch.
  double forward_s = 0, backward_s = 0;

  [[nodiscard]] double both() const { return forward_s + backward_s; }
};

/// The median over iterations and microbatches, summed over stages, per sample.
double pass_time(const PerseusRun& run, Duration PerseusPass::*what, int samples) {
  double sum = 0;
  for (int s = 0; s < run.stages; ++s) {
    std::vector<double> values;
    for (const PerseusIteration& each : run.iterations) {
      for (int m = 0; m < run.microbatches; ++m) {
        values.push_back(seconds(run.pass(each, s, m).*what));
      }
    }
    sum += interpolated_median(std::move(values));
  }
  return sum / samples;
}

DeviceRun read_run(const fs::path& folder, const fs::path& path) {
  static const std::regex form(R"((.+)\.[^.]*_mbs([0-9]+)_nmb[0-9]+\.[^.]*\.prof\.json)");
  std::smatch said;
  const std::string name = path.filename().string();
  if (!std::regex_match(name, said, form)) {
    throw Error((folder / path).string() +
                ": its name says neither model nor microbatch; Perseus's are named like "
                "gpt3-xl.custom_dp1_pp4_tp1_mbs8_nmb128.0.prof.json");
  }
  if (path == path.filename()) {
    throw Error((folder / path).string() + ": lies in no folder that names its device");
  }
  const PerseusRun run = read_perseus((folder / path).string());
  const int samples = std::max(1, std::atoi(said[2].str().c_str()));
  return {path.begin()->string(),
          said[1],
          run.stages,
          samples,
          pass_time(run, &PerseusPass::forward, samples),
          pass_time(run, &PerseusPass::backward, samples)};
}

/// Of each device, model and layout the fastest.
std::vector<DeviceRun> at_full_clocks(const std::string& folder, std::size_t threads) {
  const std::vector<fs::path> paths = perseus_files(folder);
  std::vector<DeviceRun> all(paths.size());
  parallel_for(paths.size(), threads, [&](std::size_t i) { all[i] = read_run(folder, paths[i]); });
  std::map<std::tuple<std::string, std::string, int, int>, DeviceRun> fastest;
  for (DeviceRun& run : all) {
    const auto [entry, fresh] =
        fastest.try_emplace({run.device, run.model, run.stages, run.samples}, run);
    if (!fresh && run.both() < entry->second.both()) entry->second = std::move(run);
  }
  std::vector<DeviceRun> runs;
  for (auto& [key, run] : fastest) runs.push_back(std::move(run));
  return runs;
}

/// On `from`: the same model if it ran there, else a relative; of several the nearest microbatch.
const DeviceRun* counterpart(const std::vector<DeviceRun>& runs, const DeviceRun& to,
                             const std::string& from) {
  const DeviceRun* best = nullptr;
  const auto rank = [&](const DeviceRun& run) {
    const double work = relative_work(to.model, run.model);
    return std::tuple(run.model != to.model, std::abs(std::log(work)),
                      std::abs(std::log(double{1} * run.samples / to.samples)));
  };
  for (const DeviceRun& run : runs) {
    if (run.device != from || relative_work(to.model, run.model) <= 0) continue;
    if (best == nullptr || rank(run) < rank(*best)) best = &run;
  }
  return best;
}

void predict(const DeviceRun& from, const DeviceRun& to, const DeviceRatio& ratio,
             std::vector<DevicePrediction>& into) {
  const double work = relative_work(to.model, from.model);
  const std::string source = from.model == to.model ? "" : fmt::format(" ({})", from.model);
  for (const auto& [pass, time] : {std::pair{"forward", &DeviceRun::forward_s},
                                   std::pair{"backward", &DeviceRun::backward_s}}) {
    const double here = from.*time * work;
    into.push_back(
        {{fmt::format("{} {}, {}{} to {}", to.model, pass, from.device, source, to.device),
          here * ratio.middle, to.*time},
         here * ratio.low,
         here * ratio.high});
  }
}

struct Gpt3Size {
  std::string_view name;
  double layers, width;
};

constexpr std::array<Gpt3Size, 8> kGpt3{{{"gpt3-small", 12, 768},
                                         {"gpt3-medium", 24, 1024},
                                         {"gpt3-large", 24, 1536},
                                         {"gpt3-xl", 24, 2048},
                                         {"gpt3-2.7b", 32, 2560},
                                         {"gpt3-6.7b", 32, 4096},
                                         {"gpt3-13b", 40, 5140},
                                         {"gpt3-175b", 96, 12288}}};

/// 0 for what is not of the family.
double gpt3_work(std::string_view model) {
  constexpr double kContext = 2048, kVocabulary = 50257;
  for (const Gpt3Size& size : kGpt3) {
    if (size.name != model) continue;
    const double w = size.width;
    return size.layers * (24 * w * w + 4 * w * kContext) + 2 * w * kVocabulary;
  }
  return 0;
}

}  // namespace

double relative_work(const std::string& model, const std::string& other) {
  if (model == other) return 1;
  const double known = gpt3_work(other);
  return known > 0 ? gpt3_work(model) / known : 0;
}

double DeviceValidation::coverage() const {
  const auto inside = std::ranges::count_if(predictions, &DevicePrediction::covered);
  return static_cast<double>(inside) /
         static_cast<double>(std::max<std::size_t>(1, predictions.size()));
}

DeviceValidation validate_devices(const std::string& folder, const std::vector<DataSheet>& sheets,
                                  MatrixRate rate, std::size_t threads) {
  const std::vector<DeviceRun> runs = at_full_clocks(folder, threads);
  std::vector<std::string> devices;
  for (const DeviceRun& run : runs) {
    if (std::ranges::find(devices, run.device) == devices.end()) devices.push_back(run.device);
  }
  DeviceValidation found;
  for (const DeviceRun& to : runs) {
    bool any = false;
    for (const std::string& from : devices) {
      const DeviceRun* source = from == to.device ? nullptr : counterpart(runs, to, from);
      if (source == nullptr) continue;
      const auto ends =
          roofline_ratio(find_sheet(sheets, from), find_sheet(sheets, to.device), rate);
      predict(*source, to, device_ratio(ends), found.predictions);
      any = true;
    }
    if (!any) {
      found.warnings.push_back(
          fmt::format("{} on {}: no other device ran it or a relative", to.model, to.device));
    }
  }
  if (found.predictions.empty()) {
    throw Error(folder + ": holds no model that two devices ran; devices are its folders");
  }
  std::ranges::stable_sort(found.predictions, {}, [](const auto& each) { return each.run.name; });
  return found;
}

std::string devices_text(const DeviceValidation& found) {
  TextTable table(
      {"pass of a sample", "estimated ms", "90 % interval ms", "measured ms", "error %", "within"});
  std::vector<ValidatedRun> runs;
  for (const DevicePrediction& each : found.predictions) {
    runs.push_back(each.run);
    table.row({each.run.name, fmt::format("{:.2f}", each.run.predicted_s * 1e3),
               fmt::format("{:.2f} to {:.2f}", each.low_s * 1e3, each.high_s * 1e3),
               fmt::format("{:.2f}", each.run.measured_s * 1e3),
               fmt::format("{:+.1f}", 100 * each.run.signed_error()),
               each.covered() ? "yes" : "no"});
  }
  return table.text() + fmt::format("\nby data sheets alone: {}\n90 % intervals cover {:.0f} %\n",
                                    summary_text(summarize(runs)), 100 * found.coverage());
}

nlohmann::ordered_json devices_validation_json(const DeviceValidation& found) {
  nlohmann::ordered_json body;
  std::vector<ValidatedRun> runs;
  body["runs"] = nlohmann::ordered_json::array();
  for (const DevicePrediction& each : found.predictions) {
    runs.push_back(each.run);
    nlohmann::ordered_json run = run_json(each.run);
    run["low_s"] = each.low_s;
    run["high_s"] = each.high_s;
    run["covered"] = each.covered();
    body["runs"].push_back(std::move(run));
  }
  body.update(error_summary_json(summarize(runs)));
  body["coverage"] = found.coverage();
  body["warnings"] = found.warnings;
  return body;
}

}  // namespace shardlab
