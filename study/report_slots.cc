#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "study/best_slots.h"
#include "study/report_parts.h"

namespace shardlab {
namespace {

/// Differences below it are not told apart in overviews.
constexpr double kAlike = 0.001;

constexpr const char* kAtBestSlots =
    "Each policy has the slots of its least mean gap, setting by setting, as these are chosen and "
    "memory is not.";

std::string room(const StudyCell& cell) {
  return cell.transfer.link == LinkKind::kNone ? "-" : fmt::format("{}", cell.memory);
}

/// What is averaged, and under what first columns of a table it stands.
template <typename T>
struct Group {
  std::vector<std::string> columns;
  std::vector<const T*> members;

  /// Per policy; `gap` of (member, policy).
  template <typename Gap>
  [[nodiscard]] std::vector<double> means(std::size_t policies, const Gap& gap) const {
    std::vector<double> means(policies);
    for (std::size_t p = 0; p < policies; ++p) {
      for (const T* member : members) {
        means[p] += gap(*member, p) / static_cast<double>(members.size());
      }
    }
    return means;
  }
};

/// In the order in which their columns come first.
template <typename T, typename Columns>
std::vector<Group<T>> grouped(const std::vector<T>& all, const Columns& columns_of) {
  std::vector<Group<T>> groups;
  for (const T& member : all) {
    std::vector<std::string> columns = columns_of(member);
    auto group = std::ranges::find(groups, columns, &Group<T>::columns);
    if (group == groups.end()) group = groups.insert(groups.end(), {std::move(columns), {}});
    group->members.push_back(&member);
  }
  return groups;
}

double gap_at_best(const BestSlots& setting, std::size_t policy) {
  return setting.policies[policy].result->gap.mean;
}

/// "lrtf, fifo": those whose mean gap is `gap`, nearly.
std::string names_at(const Study& study, const std::vector<double>& gaps, double gap) {
  std::string all;
  for (std::size_t p = 0; p < gaps.size(); ++p) {
    if (std::abs(gaps[p] - gap) > kAlike) continue;
    all += (all.empty() ? "" : ", ") + study.grid.policies[p];
  }
  return all;
}

/// A row per group: its columns, then all gaps, the least with a star.
template <typename T, typename Gap>
TextTable gaps_table(const Study& study, std::vector<std::string> headers,
                     const std::vector<Group<T>>& groups, const Gap& gap) {
  headers.insert(headers.end(), study.grid.policies.begin(), study.grid.policies.end());
  TextTable table(headers);
  for (const Group<T>& group : groups) {
    const std::vector<double> gaps = group.means(study.grid.policies.size(), gap);
    const double least = *std::ranges::min_element(gaps);
    std::vector<std::string> cells = group.columns;
    for (const double each : gaps) cells.push_back(percent(each) + (each == least ? " *" : ""));
    table.row(std::move(cells));
  }
  return table;
}

}  // namespace

std::string percent(double fraction) {
  const std::string text = fmt::format("{:.1f}", 100 * fraction);
  return text == "-0.0" ? "0.0" : text;
}

std::string signed_percent(double fraction) {
  const std::string text = percent(fraction);
  return text == "0.0" || text.starts_with('-') ? text : "+" + text;
}

bool varies_slots(const Study& study) { return at_best_slots(study).size() < study.cells.size(); }

StudySection short_section(const Study& study) {
  const std::string& baseline = study.grid.baseline;
  TextTable table({"devices", "link", "room", "least mean gap", "gap %", "next", "gap %",
                   baseline + " %", "best or tie in"});
  const std::vector<BestSlots> settings = at_best_slots(study);
  const auto groups = grouped(settings, [](const BestSlots& setting) {
    const StudyCell& cell = setting.cells.front()->cell;
    return std::vector{cell.devices.name, to_string(cell.transfer.link), room(cell)};
  });
  for (const Group<BestSlots>& group : groups) {
    const std::vector<double> gaps = group.means(study.grid.policies.size(), gap_at_best);
    const auto best = std::ranges::min_element(gaps);
    double next = std::numeric_limits<double>::infinity();
    for (const double gap : gaps) {
      if (gap > *best + kAlike) next = std::min(next, gap);
    }
    const auto which = static_cast<std::size_t>(best - gaps.begin());
    const auto ties = std::ranges::count_if(group.members, [&](const BestSlots* setting) {
      return setting->policies[which].ties_with_best();
    });
    const bool more = next < std::numeric_limits<double>::infinity();
    std::vector<std::string> cells = group.columns;
    for (const std::string& cell :
         {names_at(study, gaps, *best), percent(*best),
          more ? names_at(study, gaps, next) : std::string("-"),
          more ? percent(next) : std::string("-"), percent(gaps[index_of(study.grid, baseline)]),
          fmt::format("{} of {}", ties, group.members.size())}) {
      cells.push_back(cell);
    }
    table.row(std::move(cells));
  }
  const std::string slots = varies_slots(study) ? std::string(kAtBestSlots) + " " : "";
  return {"In short",
          slots +
              "Mean gaps over jobs and loads. Room: largest units that a device holds. Best or "
              "tie in: in so many settings the first policy with the least mean gap is best, or "
              "the interval of its difference from the best holds 0.",
          table};
}

StudySection slots_section(const Study& study) {
  const auto groups = grouped(study.cells, [](const CellResult& result) {
    const StudyCell& cell = result.cell;
    return std::vector{cell.devices.name, to_string(cell.transfer.link), room(cell),
                       fmt::format("{}", cell.slots)};
  });
  const auto gap = [](const CellResult& result, std::size_t policy) {
    return result.policies[policy].gap.mean;
  };
  return {
      "Mean gap by slots, %",
      "Over jobs and loads; a star: the least of the row. A policy that claims as much as it may "
      "needs few slots: the first devices take jobs that the others then wait for.",
      gaps_table(study, {"devices", "link", "room", "slots"}, groups, gap)};
}

StudySection transfer_section(const Study& study) {
  const std::vector<BestSlots> settings = at_best_slots(study);
  const auto groups = grouped(settings, [](const BestSlots& setting) {
    const StudyCell& cell = setting.cells.front()->cell;
    return std::vector{cell.devices.name, cell.transfer.name, room(cell)};
  });
  const std::string slots = varies_slots(study) ? std::string(" ") + kAtBestSlots : "";
  return {"Mean gap by transfer, %", "Over jobs; a star: the least of the row." + slots,
          gaps_table(study, {"devices", "transfer", "room"}, groups, gap_at_best)};
}

}  // namespace shardlab
