#include "traces/perseus_file.h"

#include <algorithm>
#include <filesystem>
#include <regex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"

namespace shardlab {
namespace {

using nlohmann::json;

/// Far above any pass, and so low that the passes of an iteration never add up beyond the clock.
constexpr Duration kLongestPass = std::chrono::hours(1);
constexpr Duration kLongestIteration = std::chrono::hours(24 * 365);
constexpr std::size_t kMostPasses = 100'000;  // Of an iteration.
constexpr std::size_t kMostLoads = 8;         // Of a microbatch.

using Stages = std::vector<const json*>;  // By rank, which is the stage.

const json& list(const json& value) {
  if (!value.is_array()) throw Error("must be a list");
  return value;
}

/// The lists of `stage` under `key`, one per iteration.
const json& breakdown(const JsonObject& stage, const char* key) {
  return in_context("time_breakdown",
                    [&]() -> const json& { return stage.object("time_breakdown").array(key); });
}

std::string place(const char* key, std::size_t iteration) {
  return fmt::format("time_breakdown: {}: iteration {}", key, iteration);
}

/// Of `each` neighbours; `count` of them.
std::vector<Duration> sums(const json& values, std::size_t count, std::size_t each) {
  std::vector<Duration> result(count);
  std::size_t i = 0;
  try {
    for (; i < values.size(); ++i) result[i / each] += json_seconds(values[i], kLongestPass);
  } catch (const Error& error) {
    throw Error(fmt::format("value {}: {}", i, error.what()));
  }
  return result;
}

/// What `key` holds for an iteration: `count` sums of equally many neighbours.
std::vector<Duration> times(const JsonObject& stage, const char* key, std::size_t iteration,
                            std::size_t count) {
  const json& all = breakdown(stage, key);
  return in_context(place(key, iteration), [&] {
    const json& values = list(all.at(iteration));
    const std::size_t each = values.size() / count;
    const bool loads = key == std::string_view("load");
    if (values.size() % count != 0 || (loads ? each > kMostLoads : each != 1)) {
      throw Error(fmt::format("{} values for {} microbatches", values.size(), count));
    }
    return sums(values, count, each);
  });
}

Stages stages_of(const json& root) {
  if (!root.is_array()) throw Error("must be a list with one object per stage");
  if (root.empty()) throw Error("has no stages");
  Stages stages(root.size());
  for (std::size_t i = 0; i < root.size(); ++i) {
    in_context(fmt::format("entry {}", i), [&] {
      const JsonObject stage(root[i]);
      const auto rank = static_cast<std::size_t>(
          stage.integer("rank", 0, static_cast<std::int64_t>(root.size()) - 1));
      if (stages[rank] != nullptr) throw Error(fmt::format("rank: {} stands there twice", rank));
      stages[rank] = &root[i];
    });
  }
  return stages;
}

template <typename Body>
void for_each_stage(const Stages& stages, const Body& body) {
  for (std::size_t s = 0; s < stages.size(); ++s) {
    in_context(fmt::format("rank {}", s), [&] { body(s, JsonObject(*stages[s])); });
  }
}

/// How many iterations all lists of all stages have, the first included.
std::size_t iterations_of(const Stages& stages) {
  std::size_t count = 0;
  for_each_stage(stages, [&](std::size_t s, const JsonObject& stage) {
    if (s == 0) count = stage.array("iter_time").size();
    const auto check = [&](const std::string& key, std::size_t found) {
      if (found == count) return;
      throw Error(
          fmt::format("{}: {} iterations, but iter_time of rank 0 has {}", key, found, count));
    };
    check("iter_time", stage.array("iter_time").size());
    for (const char* key : {"load", "forward", "backward"}) {
      check(std::string("time_breakdown: ") + key, breakdown(stage, key).size());
    }
  });
  if (count < 2) throw Error("rank 0: iter_time: needs two iterations, as the first is warm-up");
  return count;
}

Duration measured(const JsonObject& stage, std::size_t iteration) {
  return in_context(fmt::format("iter_time: iteration {}", iteration), [&] {
    const Duration time = json_seconds(stage.array("iter_time").at(iteration), kLongestIteration);
    if (time == Duration{}) throw Error("must not be 0");
    return time;
  });
}

Duration median(std::vector<Duration> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

PerseusIteration iteration(const PerseusRun& run, const Stages& stages, std::size_t number) {
  PerseusIteration result;
  std::vector<Duration> by_stage;
  for_each_stage(stages, [&](std::size_t, const JsonObject& stage) {
    const auto count = static_cast<std::size_t>(run.microbatches);
    const auto load = times(stage, "load", number, count);
    const auto forward = times(stage, "forward", number, count);
    const auto backward = times(stage, "backward", number, count);
    for (std::size_t m = 0; m < count; ++m) {
      result.passes.push_back({load[m], forward[m], backward[m]});
    }
    by_stage.push_back(measured(stage, number));
  });
  result.measured = median(std::move(by_stage));
  return result;
}

/// Nothing where the name does not say.
void hold_against_name(PerseusRun& run, const std::string& name) {
  static const std::regex layout("_dp([0-9]+)_pp([0-9]+)_tp([0-9]+)_mbs([0-9]+)_nmb([0-9]+)");
  std::smatch said;
  if (!std::regex_search(name, said, layout)) return;
  if (said[1] != "1" || said[3] != "1") {
    throw Error(
        fmt::format("dp{} tp{}: only pipelines without data and tensor parallelism are read",
                    said[1].str(), said[3].str()));
  }
  const auto same = [](const std::string& written, int found, const char* what) {
    if (written != std::to_string(found)) {
      throw Error(fmt::format("its name says {} {}, but it has {}", written, what, found));
    }
  };
  same(said[2], run.stages, "stages (pp)");
  same(said[5], run.microbatches, "microbatches (nmb)");
  run.microbatch_size = said[4].length() > 6 ? 0 : std::stoi(said[4]);
}

}  // namespace

PerseusRun parse_perseus(std::string_view text) {
  const json root = parse_json(text);
  const Stages stages = stages_of(root);
  const std::size_t iterations = iterations_of(stages);
  const std::size_t microbatches = in_context("rank 0: " + place("forward", 1), [&] {
    const std::size_t size = list(breakdown(JsonObject(*stages[0]), "forward").at(1)).size();
    if (size == 0 || size > kMostPasses / stages.size()) {
      throw Error(fmt::format("{} microbatches", size));
    }
    return size;
  });
  PerseusRun run{static_cast<int>(stages.size()), static_cast<int>(microbatches), {}, 0};
  for (std::size_t i = 1; i < iterations; ++i) {
    run.iterations.push_back(iteration(run, stages, i));
  }
  return run;
}

PerseusRun read_perseus(const std::string& path) {
  const std::string text = read_whole_file(path);
  return in_context(path, [&] {
    PerseusRun run = parse_perseus(text);
    hold_against_name(run, std::filesystem::path(path).filename().string());
    return run;
  });
}

}  // namespace shardlab
