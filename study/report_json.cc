#include <nlohmann/json.hpp>

#include "study/report.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

ordered_json half_width(const MeanInterval& value) {
  return value.half_width ? ordered_json(*value.half_width) : ordered_json();
}

/// Null where it does not matter.
ordered_json memory(const StudyCell& cell) {
  return cell.transfer.link == LinkKind::kNone ? ordered_json() : ordered_json(cell.memory);
}

ordered_json row(const Study& study, const CellResult& result, std::size_t p) {
  const StudyCell& cell = result.cell;
  const PolicyInCell& policy = result.policies[p];
  return {{"grid", study.grid.name},
          {"jobs", cell.jobs.name},
          {"devices", cell.devices.name},
          {"link", to_string(cell.transfer.link)},
          {"load", cell.transfer.load},
          {"slots", cell.slots},
          {"memory", memory(cell)},
          {"policy", study.grid.policies[p]},
          {"instances", study.grid.instances},
          {"mean_gap", policy.gap.mean},
          {"gap_half_width", half_width(policy.gap)},
          {"worst_gap", policy.worst},
          {"above_best", policy.against.difference.mean},
          {"above_best_half_width", half_width(policy.against.difference)},
          {"verdict", policy.against.verdict},
          {"over_best", policy.over_best.mean},
          {"over_best_half_width", half_width(policy.over_best)},
          {"baseline", study.grid.baseline},
          {"over_baseline", policy.against_baseline.mean},
          {"over_baseline_half_width", half_width(policy.against_baseline)},
          {"worst_over_baseline", policy.worst_against_baseline}};
}

ordered_json nanoseconds(const std::vector<Duration>& times) {
  ordered_json list = ordered_json::array();
  for (const Duration time : times) list.push_back(time.count());
  return list;
}

ordered_json cell_json(const Study& study, const CellResult& result) {
  ordered_json makespans = ordered_json::object();
  for (std::size_t p = 0; p < result.policies.size(); ++p) {
    makespans[study.grid.policies[p]] = nanoseconds(result.policies[p].makespans);
  }
  return {{"setting", result.cell.name()},
          {"bound_ns", nanoseconds(result.bounds)},
          {"bound_by", result.bound_by},
          {"makespan_ns", std::move(makespans)}};
}

ordered_json grid_json(const Study& study) {
  ordered_json settings = ordered_json::array();
  for (const CellResult& result : study.cells) settings.push_back(cell_json(study, result));
  ordered_json published = ordered_json::array();
  for (const PublishedFigure& figure : study.grid.published) {
    published.push_back({{"jobs", figure.jobs},
                         {"devices", figure.devices},
                         {"policy", figure.policy},
                         {"value", figure.value}});
  }
  return {{"name", study.grid.name},           {"instances", study.grid.instances},
          {"policies", study.grid.policies},   {"baseline", study.grid.baseline},
          {"published", std::move(published)}, {"settings", std::move(settings)}};
}

}  // namespace

ordered_json study_rows(const std::vector<Study>& studies) {
  ordered_json rows = ordered_json::array();
  for (const Study& study : studies) {
    for (const CellResult& result : study.cells) {
      for (std::size_t p = 0; p < result.policies.size(); ++p) {
        rows.push_back(row(study, result, p));
      }
    }
  }
  return rows;
}

ordered_json study_json(const std::vector<Study>& studies) {
  ordered_json grids = ordered_json::array();
  for (const Study& study : studies) grids.push_back(grid_json(study));
  return {{"grids", std::move(grids)}, {"rows", study_rows(studies)}};
}

}  // namespace shardlab
