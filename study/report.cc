#include "study/report.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "study/best_slots.h"
#include "study/report_parts.h"

namespace shardlab {
namespace {

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
  const char* slots = varies_slots(study) ? ", all policies with the same slots" : "";
  return {"All settings",
          fmt::format("Means over {} of {} each{}; worst gap: of any instance. Over {}, over best: "
                      "makespan over that of {} and of the setting's best policy, instance by "
                      "instance; most: the mean of the setting in which it is largest.",
                      counted(study.cells.size(), "setting"), instances(study), slots, baseline,
                      baseline),
          table};
}

/// The same where slots are chosen.
StudySection chosen_section(const Study& study) {
  const std::string& baseline = study.grid.baseline;
  const std::vector<BestSlots> settings = at_best_slots(study);
  TextTable table(
      {"policy", "mean gap %", "worst gap %", "best or tie", "over " + baseline + " %", "slots"});
  for (std::size_t p = 0; p < study.grid.policies.size(); ++p) {
    double gap = 0, worst = 0, over_baseline = 0;
    std::size_t best = 0;
    std::map<int, std::size_t> slots;
    for (const BestSlots& setting : settings) {
      const BestSlots::Choice& choice = setting.policies[p];
      gap += choice.result->gap.mean / static_cast<double>(settings.size());
      over_baseline += choice.over_baseline / static_cast<double>(settings.size());
      worst = std::max(worst, choice.result->worst);
      best += choice.ties_with_best() ? 1 : 0;
      ++slots[choice.cell->cell.slots];
    }
    std::string which;
    for (const auto& [count, times] : slots) {
      which += fmt::format("{}{}: {}", which.empty() ? "" : ", ", count, times);
    }
    table.row({study.grid.policies[p], percent(gap), percent(worst),
               fmt::format("{} of {}", best, settings.size()),
               study.grid.policies[p] == baseline ? "-" : signed_percent(over_baseline), which});
  }
  return {"Each with its best slots",
          fmt::format("The same over {} where slots are chosen, for each policy those of its least "
                      "mean gap; slots: how many, and in so many settings.",
                      counted(settings.size(), "setting")),
          table};
}

/// "link, traffic": which bounds are the greatest, the one of most instances first.
std::string bound_names(const CellResult& result) {
  std::map<std::string, int> times;
  for (const std::string& bound : result.bound_by) ++times[bound];
  std::vector<std::pair<int, std::string>> order;
  for (const auto& [bound, count] : times) order.emplace_back(-count, bound);
  std::ranges::sort(order);
  std::string all;
  for (const auto& [count, bound] : order) all += (all.empty() ? "" : ", ") + bound;
  return all;
}

StudySection best_section(const Study& study) {
  TextTable table(
      {"setting", "gap %", "± %", "worst %", study.grid.baseline + " %", "bound", "best, ties"});
  const std::size_t baseline = index_of(study.grid, study.grid.baseline);
  for (const CellResult& result : study.cells) {
    const auto best =
        std::min_element(result.policies.begin(), result.policies.end(),
                         [](const auto& a, const auto& b) { return a.gap.mean < b.gap.mean; });
    table.row({result.cell.name(), percent(best->gap.mean),
               best->gap.half_width ? percent(*best->gap.half_width) : "-", percent(best->worst),
               percent(result.policies[baseline].gap.mean), bound_names(result),
               names(study, result)});
  }
  return {"Best policy per setting",
          "Setting: jobs/devices/transfer/slots. Gap: of the policy with the smallest mean gap; "
          "bound: the greatest lower bound, in most instances first; best, ties: that policy, and "
          "those whose difference from it has a 95 % interval that holds 0.",
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
  std::vector<StudySection> all{short_section(study)};
  if (varies_slots(study)) all.push_back(chosen_section(study));
  all.push_back(summary_section(study));
  if (!study.grid.published.empty()) all.push_back(published_section(study));
  all.push_back(best_section(study));
  return all;
}

std::vector<StudySection> details(const Study& study, std::size_t most_settings) {
  std::vector<StudySection> all;
  if (study.grid.transfers.size() > 1) all.push_back(transfer_section(study));
  if (varies_slots(study)) all.push_back(slots_section(study));
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
