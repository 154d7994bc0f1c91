#include "traces/decision_file.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"

// A line of JSON says what search it is of, one more each decision. Each line begins with its
// checksum.
namespace shardlab {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-decisions";
constexpr int kVersion = 1;
constexpr std::size_t kHash = 16;

std::string line_of(const ordered_json& content) {
  const std::string text = content.dump();
  return fmt::format("{:016x} {}\n", XXH3_64bits(text.data(), text.size()), text);
}

std::string search_text(const EarlyStop& search, std::size_t jobs) {
  const std::string least =
      search.method == StopMethod::kHyperband ? "" : fmt::format(", min {}", search.least);
  return fmt::format("{}, eta {}{}, max {}, {} jobs", to_string(search.method), search.eta, least,
                     search.most, jobs);
}

ordered_json decision_json(const Decision& decision) {
  ordered_json told = ordered_json::array(), verdicts = ordered_json::array();
  for (const Decision::Told& each : decision.told) {
    ordered_json loss;  // null: infinite.
    if (std::isfinite(each.loss)) loss = each.loss;
    told.push_back({index(each.job), each.minibatches, loss});
  }
  for (const Decision::Verdict& each : decision.verdicts) {
    verdicts.push_back({index(each.job), each.goes_on});
  }
  return {{"told", std::move(told)}, {"verdicts", std::move(verdicts)}};
}

JobId job_of(const json& row, std::size_t size, std::size_t jobs) {
  if (!row.is_array() || row.size() != size) throw Error("is no decision");
  return job_id(static_cast<std::size_t>(json_integer(row[0], 0, static_cast<int>(jobs) - 1)));
}

Decision parse_decision(const json& file, std::size_t jobs) {
  const JsonObject root(file);
  Decision decision;
  for (const json& row : root.array("told")) {
    const JobId job = job_of(row, 3, jobs);
    const double loss =
        row[2].is_null() ? std::numeric_limits<double>::infinity() : row[2].get<double>();
    decision.told.push_back({job, json_integer(row[1], 0), loss});
  }
  for (const json& row : root.array("verdicts")) {
    decision.verdicts.push_back({job_of(row, 2, jobs), row[1].get<bool>()});
  }
  return decision;
}

/// Without its checksum.
std::string_view content_of(std::string_view line) {
  if (line.size() <= kHash) throw Error("is cut off");
  const std::string_view text = line.substr(kHash + 1);
  const auto hash = fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
  if (line.substr(0, kHash) != hash) throw Error("the checksum does not match");
  return text;
}

}  // namespace

void write_decisions(const std::string& path, const EarlyStop& search, std::size_t jobs,
                     const std::vector<Decision>& decisions) {
  std::string text =
      line_of({{"format", kFormat}, {"version", kVersion}, {"search", search_text(search, jobs)}});
  for (const Decision& decision : decisions) text += line_of(decision_json(decision));
  write_file_atomically(path, text);
}

DecisionFile read_decisions(const std::string& path, const EarlyStop& search, std::size_t jobs) {
  DecisionFile read;
  if (!std::filesystem::exists(path)) return read;
  const std::string text = read_whole_file(path);
  std::string_view rest = text;
  std::string of;
  int number = 0;
  const auto take = [&] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view content = content_of(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (number > 1) {
      read.decisions.push_back(parse_decision(parse_json(content), jobs));
    } else {
      of = JsonObject(parse_json_file(content, kFormat, kVersion)).text("search");
    }
  };
  try {
    while (number == 0 || !rest.empty()) {
      ++number;
      take();
    }
  } catch (const Error& error) {
    read.problem = fmt::format("{}:{}: {}", path, number, error.what());
  } catch (const json::exception& error) {
    read.problem = fmt::format("{}:{}: {}", path, number, error.what());
  }
  const std::string now = search_text(search, jobs);
  if (of.empty() || of == now) return read;
  throw Error(fmt::format("{}: is of another search: {} there, {} in the workload", path, of, now));
}

}  // namespace shardlab
