#include "traces/curve_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"
#include "traces/atomic_file.h"
#include "traces/csv.h"

namespace shardlab {
namespace {

std::map<std::string_view, std::size_t> jobs_by_name(const Workload& workload) {
  std::map<std::string_view, std::size_t> found;
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) found[workload.jobs[j].name] = j;
  return found;
}

[[noreturn]] void refuse_job(std::string_view name, const Workload& workload) {
  std::vector<std::string_view> names;
  for (const Job& job : workload.jobs) names.push_back(job.name);
  throw Error(fmt::format("the workload has no job \"{}\"{}", name, suggestion(name, names)));
}

std::int64_t minibatch(std::string_view field) {
  const std::int64_t value = csv_integer(field);
  if (value < 1) throw Error(fmt::format("must be at least 1, is {}", value));
  return value;
}

/// Adds it where it belongs; curves mostly come in their order.
void add(LearningCurve& curve, const CurvePoint& point) {
  const auto after =
      std::upper_bound(curve.begin(), curve.end(), point.minibatch,
                       [](std::int64_t n, const CurvePoint& each) { return n < each.minibatch; });
  if (after != curve.begin() && (after - 1)->minibatch == point.minibatch) {
    throw Error(fmt::format("{} comes twice for this job", point.minibatch));
  }
  curve.insert(after, point);
}

}  // namespace

std::vector<LearningCurve> parse_curves(std::string_view text, const std::string& origin,
                                        const Workload& workload) {
  CsvReader rows(text, origin, CsvComments::kHash);
  constexpr std::array<std::string_view, 3> kColumns{"job", "minibatch", "loss"};
  rows.refuse_unknown_columns(kColumns);
  const std::size_t name = rows.column("job"), at = rows.column("minibatch"),
                    loss = rows.column("loss");
  const auto by_name = jobs_by_name(workload);
  std::vector<LearningCurve> curves(workload.jobs.size());
  while (rows.next()) {
    CurvePoint point;
    const auto job = by_name.find(rows[name]);
    in_context(rows.place(name), [&] {
      if (job == by_name.end()) refuse_job(rows[name], workload);
    });
    in_context(rows.place(loss), [&] { point.loss = csv_number(rows[loss]); });
    in_context(rows.place(at), [&] {
      point.minibatch = minibatch(rows[at]);
      add(curves[job->second], point);
    });
  }
  for (std::size_t j = 0; j < curves.size(); ++j) {
    if (!curves[j].empty()) continue;
    throw Error(fmt::format("{}: no loss of job \"{}\"; give every job at least one row", origin,
                            workload.jobs[j].name));
  }
  return curves;
}

std::vector<LearningCurve> read_curves(const std::string& path, const Workload& workload) {
  return parse_curves(read_whole_file(path), path, workload);
}

}  // namespace shardlab
