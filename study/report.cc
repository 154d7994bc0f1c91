#include "study/report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace shardlab {
namespace {

std::string percent(double fraction) {
  const std::string text = fmt::format("{:.1f}", 100 * fraction);
  return text == "-0.0" ? "0.0" : text;
}

std::string signed_percent(double fraction) {
  const std::string text = percent(fraction);
  return text == "0.0" || text.starts_with('-') ? text : "+" + text;
}

/// "± 0.4" behind a mean, where there is an interval.
std::string interval(const MeanInterval& value) {
  return value.half_width ? " ± " + percent(*value.half_width) : "";
}

std::string counted(std::size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string instances(const Study& study) {
  return counted(static_cast<std::size_t>(study.grid.instances), "instance");
}

std::string names(const Study& study, const CellResult& result) {
  std::string all;
  for (std::size_t p = 0; p < result.policies.size(); ++p) {
    if (!result.policies[p].ties_with_best()) continue;
    all += (all.empty() ? "" : ", ") + study.grid.policies[p];
  }
  return all;
}

std::size_t index_of(const Study& study, const std::string& policy) {
  const auto& policies = study.grid.policies;
  return static_cast<std::size_t>(std::find(policies.begin(), policies.end(), policy) -
                                  policies.begin());
}

/// Settings of one kind.
struct Group {
  std::string name;
  std::vector<const CellResult*> cells;

  /// Per policy, each setting with the same weight.
  [[nodiscard]] std::vector<double> mean_gaps() const {
    std::vector<double> means(cells.front()->policies.size());
    for (const CellResult* cell : cells) {
      for (std::size_t p = 0; p < means.size(); ++p) {
        means[p] += cell->policies[p].gap.mean / static_cast<double>(cells.size());
      }
    }
    return means;
  }
};

/// In the order in which their names come first.
template <typename Name>
std::vector<Group> grouped(const Study& study, const Name& name_of) {
  std::vector<Group> all;
  for (const CellResult& result : study.cells) {
    const std::string name = name_of(result.cell);
    const auto same = [&](const Group& group) { return group.name == name; };
    auto group = std::find_if(all.begin(), all.end(), same);
    if (group == all.end()) group = all.insert(all.end(), {name, {}});
    group->cells.push_back(&result);
  }
  return all;
}

/// "lrtf, fifo": those whose mean gap is within a tenth of a percent of `gap`.
std::string names_at(const Study& study, const std::vector<double>& gaps, double gap) {
  std::string all;
  for (std::size_t p = 0; p < gaps.size(); ++p) {
    if (std::abs(gaps[p] - gap) > 0.001) continue;
    all += (all.empty() ? "" : ", ") + study.grid.policies[p];
  }
  return all;
}

StudySection short_section(const Study& study) {
  const std::string& baseline = study.grid.baseline;
  TextTable table({"devices, link", "least mean gap", "gap %", "next", "gap %", baseline + " %",
                   "best or tie in"});
  const std::vector<Group> groups = grouped(study, [](const StudyCell& cell) {
    return cell.devices.name + ", " + to_string(cell.transfer.link);
  });
  for (const Group& group : groups) {
    const std::vector<double> gaps = group.mean_gaps();
    const auto best = std::min_element(gaps.begin(), gaps.end());
    double next = std::numeric_limits<double>::infinity();
    for (const double gap : gaps) {
      if (gap > *best + 0.001) next = std::min(next, gap);
    }
    const auto which = static_cast<std::size_t>(best - gaps.begin());
    const auto ties = std::count_if(
        group.cells.begin(), group.cells.end(),
        [&](const CellResult* cell) { return cell->policies[which].ties_with_best(); });
    const bool more = next < std::numeric_limits<double>::infinity();
    table.row({group.name, names_at(study, gaps, *best), percent(*best),
               more ? names_at(study, gaps, next) : "-", more ? percent(next) : "-",
               percent(gaps[index_of(study, baseline)]),
               fmt::format("{} of {}", ties, group.cells.size())});
  }
  return {
      "In short",
      "Mean gaps over the settings of a kind, all jobs, loads and slots. Best or tie in: so many "
      "settings of them, the first policy with the least mean gap.",
      table};
}

StudySection kinds_section(const Study& study) {
  std::vector<std::string> headers{"devices", "transfer"};
  headers.insert(headers.end(), study.grid.policies.begin(), study.grid.policies.end());
  TextTable table(headers);
  const std::vector<Group> groups = grouped(
      study, [](const StudyCell& cell) { return cell.devices.name + "/" + cell.transfer.name; });
  for (const Group& group : groups) {
    const std::vector<double> gaps = group.mean_gaps();
    const double least = *std::min_element(gaps.begin(), gaps.end());
    const StudyCell& first = group.cells.front()->cell;
    std::vector<std::string> cells{first.devices.name, first.transfer.name};
    for (const double gap : gaps) cells.push_back(percent(gap) + (gap == least ? " *" : ""));
    table.row(std::move(cells));
  }
  return {"Mean gap by transfer, %", "Over jobs and slots; a star: the least of the row.", table};
}

StudySection summary_section(const Study& study) {
  const std::string& baseline = study.grid.baseline;
  TextTable table({"policy", "mean gap %", "worst gap %", "best or tie", "over " + baseline + " %",
                   "most over " + baseline + " %", "in", "most over best %", "in"});
  const std::vector<PolicySummary> all = summarize(study);
  for (std::size_t p = 0; p < all.size(); ++p) {
    const PolicySummary& each = all[p];
    const bool itself = study.grid.policies[p] == baseline;
    table.row({study.grid.policies[p], percent(each.mean_gap), percent(each.worst_gap),
               fmt::format("{} of {}", each.best, study.cells.size()),
               itself ? "-" : signed_percent(each.against_baseline),
               itself ? "-" : signed_percent(each.worst_cell), itself ? "-" : each.worst_cell_name,
               signed_percent(each.most_over_best), each.most_over_best_name});
  }
  return {"All settings",
          fmt::format("Means over {} of {} each; worst gap: of any instance. Over {}, over best: "
                      "makespan over that of {} and of the setting's best policy, instance by "
                      "instance; most: the mean of the setting in which it is largest.",
                      counted(study.cells.size(), "setting"), instances(study), baseline, baseline),
          table};
}

StudySection best_section(const Study& study) {
  TextTable table({"setting", "gap %", "±", "worst %", study.grid.baseline + " %", "best, ties"});
  const std::size_t baseline = index_of(study, study.grid.baseline);
  for (const CellResult& result : study.cells) {
    const auto best =
        std::min_element(result.policies.begin(), result.policies.end(),
                         [](const auto& a, const auto& b) { return a.gap.mean < b.gap.mean; });
    table.row({result.cell.name(), percent(best->gap.mean),
               best->gap.half_width ? percent(*best->gap.half_width) : "-", percent(best->worst),
               percent(result.policies[baseline].gap.mean), names(study, result)});
  }
  return {"Best policy per setting",
          "Setting: jobs/devices/transfer/slots. Gap: of the policy with the smallest mean gap; "
          "beside it those whose difference from it has a 95 % interval that holds 0.",
          table};
}

/// The published value is of some cell of these jobs and devices: of the first.
StudySection published_section(const Study& study) {
  TextTable table({"jobs", "devices", "policy", "published", "here", "±", "worst"});
  for (const PublishedFigure& figure : study.grid.published) {
    const auto cell =
        std::find_if(study.cells.begin(), study.cells.end(), [&](const CellResult& each) {
          return each.cell.jobs.name == figure.jobs && each.cell.devices.name == figure.devices;
        });
    const auto& policies = study.grid.policies;
    const auto at = std::find(policies.begin(), policies.end(), figure.policy);
    std::vector<std::string> cells{figure.jobs, figure.devices, figure.policy,
                                   fmt::format("{:.2f}", figure.value)};
    if (at == policies.end()) {
      cells.insert(cells.end(), {"-", "-", "-"});
    } else {
      const auto& found = cell->policies[static_cast<std::size_t>(at - policies.begin())];
      cells.push_back(fmt::format("{:.3f}", 1 + found.gap.mean));
      cells.push_back(found.gap.half_width ? fmt::format("{:.3f}", *found.gap.half_width) : "-");
      cells.push_back(fmt::format("{:.3f}", 1 + found.worst));
    }
    table.row(std::move(cells));
  }
  return {"Beside what was published",
          fmt::format("Published: makespan over {}. Here: over the best lower bound, mean of {}. "
                      "Nothing was tuned to come near.",
                      study.grid.relative_to, instances(study)),
          table};
}

/// What one table has: settings that differ in what its first columns say.
struct DetailRows {
  std::span<const CellResult> cells;
  std::string of;           ///< For the title.
  bool by_transfer = true;  ///< Else by jobs and devices.
};

/// A table per kind of jobs and devices, or one where they have a setting each.
std::vector<DetailRows> detail_rows(const Study& study) {
  const std::span<const CellResult> cells = study.cells;
  const std::size_t each = cells.size() / (study.grid.jobs.size() * study.grid.devices.size());
  if (each == 1) return {{cells, "", false}};
  std::vector<DetailRows> all;
  for (std::size_t c = 0; c < cells.size(); c += each) {
    const StudyCell& first = cells[c].cell;
    all.push_back({cells.subspan(c, each),
                   fmt::format(": {} jobs, {} devices", first.jobs.name, first.devices.name)});
  }
  return all;
}

template <typename Cell>
StudySection detail_section(const Study& study, const DetailRows& rows, const std::string& title,
                            const Cell& cell_of) {
  std::vector<std::string> headers{"transfer", "slots"};
  if (!rows.by_transfer) headers = {"jobs", "devices"};
  headers.insert(headers.end(), study.grid.policies.begin(), study.grid.policies.end());
  TextTable table(headers);
  for (const CellResult& result : rows.cells) {
    const StudyCell& cell = result.cell;
    std::vector<std::string> cells{cell.transfer.name, cell.slots_name()};
    if (!rows.by_transfer) cells = {cell.jobs.name, cell.devices.name};
    for (const PolicyInCell& policy : result.policies) cells.push_back(cell_of(policy));
    table.row(std::move(cells));
  }
  return {title + rows.of, "", table};
}

}  // namespace

std::vector<StudySection> overview(const Study& study) {
  std::vector<StudySection> all{short_section(study), summary_section(study)};
  if (!study.grid.published.empty()) all.push_back(published_section(study));
  all.push_back(best_section(study));
  return all;
}

std::vector<StudySection> details(const Study& study, std::size_t most_settings) {
  std::vector<StudySection> all;
  if (study.grid.transfers.size() > 1) all.push_back(kinds_section(study));
  if (study.cells.size() > most_settings) return all;
  for (const DetailRows& rows : detail_rows(study)) {
    all.push_back(
        detail_section(study, rows, "Gap over the lower bound, %", [](const PolicyInCell& policy) {
          return fmt::format("{}{} ({}){}", percent(policy.gap.mean), interval(policy.gap),
                             percent(policy.worst), policy.ties_with_best() ? " *" : "");
        }));
    if (study.grid.policies.size() < 2) continue;
    all.push_back(detail_section(
        study, rows, fmt::format("Makespan over that of {}, %", study.grid.baseline),
        [](const PolicyInCell& policy) {
          return signed_percent(policy.against_baseline.mean) + interval(policy.against_baseline);
        }));
  }
  return all;
}

}  // namespace shardlab
