#include "cli/ranked_plans.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/estimates.h"
#include "core/error.h"
#include "report/metrics.h"
#include "report/summary.h"
#include "report/table.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

Bytes largest(const std::vector<Bytes>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

PlanResult result(const Prediction& prediction) {
  return {prediction.plan.name,
          seconds(prediction.outcome.makespan),
          seconds(prediction.naive),
          seconds(prediction.bounds.greatest()),
          std::string(prediction.bounds.binding()),
          largest(prediction.outcome.peak)};
}

/// One line per reason, however many plans have it.
std::string refused_text(const std::vector<Ranking::Refused>& refused) {
  std::vector<std::pair<std::string, std::string>> names_by_reason;
  for (const auto& [name, reason] : refused) {
    if (!names_by_reason.empty() && names_by_reason.back().second == reason) {
      names_by_reason.back().first += ", " + name;
    } else {
      names_by_reason.emplace_back(name, reason);
    }
  }
  std::string text;
  for (const auto& [names, reason] : names_by_reason)
    text += fmt::format("{} cannot run: {}\n", names, reason);
  return text;
}

/// "99/93/72".
std::string utilization_text(const Outcome& outcome) {
  const Utilization found = utilization(outcome);
  return fmt::format("{:.0f}/{:.0f}/{:.0f}", 100 * found.occupied, 100 * found.busy,
                     100 * found.useful);
}

std::vector<std::string> cells(const RankedResult& ranked, const Prediction& prediction,
                               const TimeUnit& unit, bool between_devices) {
  const PlanResult& result = ranked.result;
  std::vector<std::string> all{ranked.label(),
                               result.name,
                               unit.number(result.predicted_s),
                               unit.number(result.naive_s),
                               unit.number(result.lower_bound_s),
                               fmt::format("{:.1f}", 100 * result.gap()),
                               result.bound_by,
                               utilization_text(prediction.outcome),
                               format_mebibytes(prediction.bytes_moved()),
                               format_mebibytes(result.peak)};
  if (between_devices) all.push_back(format_mebibytes(prediction.outcome.between_devices));
  for (const auto& amount : {prediction.bill.kwh(), prediction.bill.cost}) {
    if (amount) all.push_back(fmt::format("{:.4g}", *amount));
  }
  return all;
}

ordered_json jobs_json(const Prediction& prediction) {
  ordered_json jobs = ordered_json::array();
  for (std::size_t j = 0; j < prediction.outcome.jobs.size(); ++j) {
    const JobEnd& end = prediction.outcome.jobs[j];
    jobs.push_back({{"name", prediction.names[j]},
                    {"completed", end.completed},
                    {"reason", end.reason},
                    {"minibatches", end.minibatches},
                    {"end_s", seconds(end.at)}});
  }
  return jobs;
}

ordered_json search_json(const OrderFound& found) {
  const bool bounded = found.bound > Duration{};
  return {{"evaluations", found.evaluations},
          {"sharp_s", seconds(found.sharp)},
          {"first_policy", found.policy},
          {"proved_optimal", found.proved_optimal},
          {"bound_s", bounded ? ordered_json(seconds(found.bound)) : ordered_json()}};
}

ordered_json plan_json(const RankedResult& ranked, const Prediction& prediction) {
  ordered_json json = plan_properties_json(prediction.plan);
  json["estimated"] = prediction.interval.has_value();
  json["rank"] = ranked.rank;
  json["tied"] = ranked.tied;
  json["predicted_s"] = ranked.result.predicted_s;
  json["naive_s"] = ranked.result.naive_s;
  json["lower_bound_s"] = ranked.result.lower_bound_s;
  json["bound_by"] = ranked.result.bound_by;
  json["gap"] = ranked.result.gap();
  json["bounds"] = ordered_json::object();
  for (const auto& [name, bound] : prediction.bounds.all()) {
    json["bounds"][std::string(name) + "_s"] = seconds(bound);
  }
  json["utilization"] = utilization_json(utilization(prediction.outcome));
  json["idle"] = idle_json(idle(prediction.outcome));
  if (const auto completion = completion_times(prediction.outcome.jobs)) {
    json["completion"] = {
        {"mean_s", completion->mean}, {"p95_s", completion->p95}, {"max_s", completion->largest}};
  } else {
    json["completion"] = nullptr;
  }
  json["bytes_moved"] = prediction.bytes_moved();
  json["bytes_between_devices"] = prediction.outcome.between_devices;
  json["devices_lost"] = prediction.outcome.devices_lost;
  json["units_redone"] = prediction.outcome.redone;
  json["host_peak_bytes"] = prediction.outcome.host_peak;
  json["disk_read_bytes"] = prediction.outcome.read;
  json["disk_written_bytes"] = prediction.outcome.written;
  json["peak_bytes"] = prediction.outcome.peak;
  json.update(bill_json(prediction.bill));
  json["note"] = prediction.note;
  if (prediction.search) json["search"] = search_json(*prediction.search);
  if (!prediction.on_host.empty()) json["steps_on_host"] = steps_json(prediction);
  if (prediction.stopped > 0) json["jobs"] = jobs_json(prediction);
  if (!prediction.timeline.units.empty()) json["devices"] = devices_json(prediction.timeline);
  return json;
}

}  // namespace

void Ranking::refuse(std::size_t place, const std::string& reason) {
  const auto at = static_cast<std::ptrdiff_t>(place);
  refused.push_back({predictions[place].plan.name, reason});
  predictions.erase(predictions.begin() + at);
  ranked.erase(ranked.begin() + at);
}

Ranking rank_plans(const Inputs& inputs, const std::vector<PlannedChoice>& plans,
                   bool keep_programs, bool with_timeline) {
  Ranking ranking;
  std::vector<Prediction> all;
  std::size_t fewest = SIZE_MAX;
  for (const PlannedChoice& planned : plans) {
    if (!planned.plan) {
      ranking.refused.push_back({describe(planned.choice), planned.note});
      continue;
    }
    try {
      Prediction made = predict(inputs, *planned.plan, with_timeline && plans.size() == 1);
      made.note = planned.note;
      made.search = planned.search;
      if (!keep_programs) made.program = {};
      fewest = std::min(fewest, without_room(made.outcome));
      all.push_back(std::move(made));
    } catch (const Error& error) {
      if (plans.size() == 1) throw;
      ranking.refused.push_back({planned.plan->name, error.what()});
    }
  }
  std::vector<PlanResult> results;
  std::map<std::string, Prediction> by_name;
  for (Prediction& made : all) {
    const std::size_t left_out = without_room(made.outcome);
    if (left_out > fewest || left_out == made.outcome.jobs.size()) {
      ranking.refused.push_back({made.plan.name, without_room_text(made.outcome)});
      continue;
    }
    ranking.stated_error = std::max(ranking.stated_error, made.interval.value_or(0));
    if (made.interval) ranking.estimates = estimate_text(inputs, ranking.stated_error) + "\n";
    results.push_back(result(made));
    by_name[made.plan.name] = std::move(made);
  }
  if (results.empty()) throw Error("no plan can run:\n" + refused_text(ranking.refused));
  ranking.ranked = rank(std::move(results), ranking.stated_error);
  for (const RankedResult& each : ranking.ranked) {
    ranking.predictions.push_back(std::move(by_name.at(each.result.name)));
  }
  return ranking;
}

std::string ranking_text(const Ranking& ranking) {
  double longest_s = 0;
  for (const RankedResult& each : ranking.ranked) {
    longest_s = std::max(longest_s, each.result.predicted_s);
  }
  const TimeUnit unit = time_unit(longest_s);
  const auto in_unit = [&](const char* what) { return fmt::format("{} {}", what, unit.name); };
  std::vector<std::string> columns{"rank",
                                   "plan",
                                   in_unit(ranking.estimates.empty() ? "predicted" : "estimated"),
                                   in_unit("naive"),
                                   in_unit("bound"),
                                   "above bound %",
                                   "bound by",
                                   "occupied/busy/useful %",
                                   "moved MiB",
                                   "peak MiB"};
  const bool between_devices = std::ranges::any_of(
      ranking.predictions, [](const Prediction& each) { return each.outcome.between_devices > 0; });
  if (between_devices) columns.emplace_back("between devices MiB");
  if (!ranking.predictions.empty()) {  // The cluster is the same for all.
    if (ranking.predictions.front().bill.joules) columns.emplace_back("energy kWh");
    if (ranking.predictions.front().bill.cost) columns.emplace_back("cost");
  }
  TextTable table(columns);
  std::string notes;
  bool ties = false, stops = false;
  for (std::size_t i = 0; i < ranking.ranked.size(); ++i) {
    const RankedResult& each = ranking.ranked[i];
    const Prediction& prediction = ranking.predictions[i];
    table.row(cells(each, prediction, unit, between_devices));
    if (!prediction.note.empty()) notes += each.result.name + ": " + prediction.note + "\n";
    ties = ties || each.tied;
    stops = stops || prediction.stopped > 0;
  }
  notes += refused_text(ranking.refused);
  if (ties) {
    notes += fmt::format("= tie: within {} of the first of that rank, the stated error\n",
                         format_percent(ranking.stated_error));
  }
  if (stops)
    notes += "naive and bound: of the minibatches that ran before jobs were stopped early\n";
  return table.text() + ranking.estimates + notes;
}

ordered_json ranking_json(const Ranking& ranking) {
  ordered_json json;
  json["stated_error"] = ranking.stated_error;
  json["estimated"] = !ranking.estimates.empty();
  json["plans"] = ordered_json::array();
  for (std::size_t i = 0; i < ranking.ranked.size(); ++i) {
    json["plans"].push_back(plan_json(ranking.ranked[i], ranking.predictions[i]));
  }
  json["refused"] = ordered_json::array();
  for (const auto& [name, reason] : ranking.refused) {
    json["refused"].push_back({{"name", name}, {"reason", reason}});
  }
  return json;
}

}  // namespace shardlab
