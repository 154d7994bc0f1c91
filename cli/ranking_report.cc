#include "cli/ranking_report.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/prediction.h"
#include "report/table.h"

namespace shardlab {
namespace {

struct Part {
  std::string_view name;
  std::vector<RankedCase> cases;
};

std::vector<Part> parts_of(const RankingFound& found) {
  std::vector<Part> parts{
      {"all", found.emulated}, {"cpu", found.cpu}, {"emulated", found.emulated}};
  parts[0].cases.insert(parts[0].cases.end(), found.cpu.begin(), found.cpu.end());
  std::erase_if(parts, [](const Part& part) { return part.cases.empty(); });
  return parts;
}

std::vector<RankedCase> unadjusted(const std::vector<RankedCase>& cases) {
  std::vector<RankedCase> raw;
  for (const RankedCase& each : cases) raw.push_back(shardlab::unadjusted(each));
  return raw;
}

std::string regret_text(double share, const std::optional<RankingScore::Within>& within) {
  if (!within.has_value()) return fmt::format("{:.2f}", 100 * share);
  return fmt::format("{:.2f} ({:.1f} to {:.1f})", 100 * share, 100 * within->low,
                     100 * within->high);
}

std::vector<std::string> row(const Part& part, std::string_view by, const RankingScore& found) {
  const double right =
      found.pairs == 0 ? 1
                       : 1 - static_cast<double>(found.wrong) / static_cast<double>(found.pairs);
  std::vector<std::string> cells{std::string(part.name), std::string(by),
                                 fmt::format("{}", part.cases.size()),
                                 fmt::format("{}", found.pairs), fmt::format("{}", found.wrong)};
  cells.push_back(fmt::format("{:.1f}", 100 * right));
  cells.push_back(regret_text(found.regret_median, found.median_within));
  cells.push_back(regret_text(found.regret_worst, found.worst_within));
  for (const double share : {found.error_median, found.error_worst}) {
    cells.push_back(fmt::format("{:.2f}", 100 * share));
  }
  return cells;
}

}  // namespace

double RankingFound::drift() const {
  if (fixed_work.empty()) return 0;
  return seconds(std::ranges::max(fixed_work)) / seconds(std::ranges::min(fixed_work)) - 1;
}

std::string ranking_found_text(const RankingFound& found) {
  TextTable table({"devices", "predicted by", "workloads", "pairs", "wrong", "right %",
                   "regret median %", "regret worst %", "error median %", "error worst %"});
  for (const Part& part : parts_of(found)) {
    table.row(row(part, "shardlab", score(part.cases, kByShardlab, kStatedError)));
    table.row(row(part, "as measured", score(unadjusted(part.cases), kByShardlab, kStatedError)));
    table.row(row(part, "naive", score(part.cases, kByNaive, kStatedError)));
  }
  std::string text = table.text();
  text += fmt::format(
      "\npairs: policies predicted further apart than {:.0f} % and than runs vary; regret: of the "
      "policy predicted best\nover the best measured one (95 % intervals); as measured: not "
      "adjusted "
      "to the machine's speed, which\nneighbouring runs show; naive: computing alone, without "
      "memory, links and overheads\n",
      100 * kStatedError);
  if (!found.fixed_work.empty()) {
    text += fmt::format("fixed work took up to {:.0f} % longer between CPU workloads\n",
                        100 * found.drift());
  }
  if (!found.emulated.empty()) {
    text += fmt::format("a unit of an emulated device took {:.0f} µs beyond its time\n",
                        1e6 * seconds(found.dispatch));
  }
  return text;
}

nlohmann::ordered_json ranking_found_json(const RankingFound& found) {
  nlohmann::ordered_json body;
  for (const Part& part : parts_of(found)) {
    auto scores = score_json(score(part.cases, kByShardlab, kStatedError));
    scores["workloads"] = part.cases.size();
    scores["raw"] = score_json(score(unadjusted(part.cases), kByShardlab, kStatedError));
    scores["naive"] = score_json(score(part.cases, kByNaive, kStatedError));
    if (part.name == "all") {
      body.update(scores);
    } else {
      body[std::string(part.name)] = std::move(scores);
    }
  }
  body["drift"] = found.drift();
  body["dispatch_s"] = seconds(found.dispatch);
  return body;
}

}  // namespace shardlab
