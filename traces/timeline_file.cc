#include "traces/timeline_file.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"
#include "traces/row_table.h"

namespace shardlab {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-timeline";
constexpr int kVersion = 1;

constexpr std::array<std::string_view, 18> kUnitColumns{
    "job",     "unit",         "minibatch",  "kind",        "shard",      "device",
    "attempt", "claim",        "claimed_ns", "reserved_ns", "arrived_ns", "from_ns",
    "to_ns",   "recompute_ns", "microbatch", "replica",     "ready_ns",   "kept"};
constexpr std::array<std::string_view, 17> kCopyColumns{
    "job",     "item",       "shard",        "minibatch",  "device",       "direction",
    "bytes",   "asked_ns",   "link_from_ns", "link_to_ns", "lane_from_ns", "lane_to_ns",
    "done_ns", "microbatch", "replica",      "source",     "step_from_ns"};

constexpr std::size_t kLateUnitColumns = 4, kLateCopyColumns = 4;

constexpr std::int64_t ns(Instant at) { return at.time_since_epoch().count(); }

std::string unit_row(const UnitSpan& span) {
  return fmt::format(
      R"([{},{},{},"{}",{},{},{},{},{},{},{},{},{},{},{},{},{},{}])", index(span.job), span.unit,
      span.minibatch, to_string(span.kind), span.shard, index(span.device), span.attempt,
      span.claim, ns(span.claimed), ns(span.reserved), ns(span.arrived), ns(span.from), ns(span.to),
      span.recompute.count(), span.microbatch, span.replica, ns(span.ready), int{span.kept});
}

std::string copy_row(const CopySpan& span) {
  return fmt::format(R"([{},"{}",{},{},{},"{}",{},{},{},{},{},{},{},{},{},{}])", index(span.job),
                     to_string(span.item), span.shard, span.minibatch, index(span.device),
                     to_string(span.direction), span.bytes, ns(span.asked), ns(span.link_from),
                     ns(span.link_to), ns(span.lane_from), ns(span.lane_to), ns(span.done),
                     span.microbatch, span.replica,
                     span.source == kNoDevice ? 0 : index(span.source));
}

std::string stepped_copy_row(const CopySpan& span) {
  std::string row = copy_row(span);
  row.back() = ',';
  return row + std::to_string(ns(span.step_from)) + "]";
}

/// Its last column stands there only where a host stepped.
std::string copies_json(const std::vector<CopySpan>& copies) {
  const bool steps =
      std::ranges::any_of(copies, [](const CopySpan& span) { return span.step_from > Instant{}; });
  const std::span columns = kCopyColumns;
  return steps ? rows_json(columns, copies, stepped_copy_row)
               : rows_json(columns.first(columns.size() - 1), copies, copy_row);
}

void check_order(std::string_view earlier, Instant from, std::string_view later, Instant to) {
  if (to < from) {
    throw Error(fmt::format("{}: negative duration: {} is before {}, which is {}", later, ns(to),
                            earlier, ns(from)));
  }
}

UnitSpan unit(const RowTable::Row& row, std::int64_t last_job, std::int64_t last_device) {
  UnitSpan span;
  span.job = JobId{static_cast<std::uint32_t>(row.integer(0, last_job))};
  span.unit = static_cast<std::uint32_t>(row.integer(1, UINT32_MAX));
  span.minibatch = row.integer(2);
  span.kind = row.one_of(3, std::array{UnitKind::kForward, UnitKind::kBackward, UnitKind::kFused,
                                       UnitKind::kReduce, UnitKind::kStep});
  span.shard = static_cast<std::int32_t>(row.integer(4, INT32_MAX));
  span.device = DeviceId{static_cast<std::uint32_t>(row.integer(5, last_device))};
  span.attempt = static_cast<std::int32_t>(row.integer(6, INT32_MAX));
  span.claim = row.integer(7);
  span.claimed = row.instant(8);
  span.reserved = row.instant(9);
  span.arrived = row.instant(10);
  span.from = row.instant(11);
  span.to = row.instant(12);
  span.recompute = Duration(row.integer(13));
  span.microbatch = static_cast<std::int32_t>(row.integer(14, INT32_MAX));
  span.replica = static_cast<std::int32_t>(row.integer(15, INT32_MAX));
  span.ready = row.instant(16);
  span.kept = row.integer(17, 1) != 0;
  span.ahead = span.claimed < span.ready;
  check_order("claimed_ns", span.claimed, "from_ns", span.from);
  check_order("ready_ns", span.ready, "from_ns", span.from);
  check_order("from_ns", span.from, "to_ns", span.to);
  if (span.recompute > span.to - span.from) throw Error("recompute_ns: is longer than the unit");
  return span;
}

CopySpan copy(const RowTable::Row& row, std::int64_t last_job, std::int64_t last_device) {
  CopySpan span;
  span.job = JobId{static_cast<std::uint32_t>(row.integer(0, last_job))};
  span.item = row.one_of(1, std::array{ItemKind::kParameters, ItemKind::kState,
                                       ItemKind::kActivation, ItemKind::kGradient, ItemKind::kGraph,
                                       ItemKind::kWeightGradient, ItemKind::kFrozen});
  span.shard = static_cast<std::int32_t>(row.integer(2, INT32_MAX));
  span.minibatch = row.integer(3);
  span.device = DeviceId{static_cast<std::uint32_t>(row.integer(4, last_device))};
  span.direction =
      row.one_of(5, std::array{Direction::kPromote, Direction::kDemote, Direction::kPeer});
  span.bytes = row.integer(6);
  span.asked = row.instant(7);
  span.link_from = row.instant(8);
  span.link_to = row.instant(9);
  span.lane_from = row.instant(10);
  span.lane_to = row.instant(11);
  span.done = row.instant(12);
  span.microbatch = static_cast<std::int32_t>(row.integer(13, INT32_MAX));
  span.replica = static_cast<std::int32_t>(row.integer(14, INT32_MAX));
  const std::int64_t source = row.integer(15, last_device);
  if (span.direction == Direction::kPeer)
    span.source = DeviceId{static_cast<std::uint32_t>(source)};
  span.step_from = row.instant(16);
  check_order("step_from_ns", span.step_from, "done_ns", span.done);
  check_order("link_from_ns", span.link_from, "link_to_ns", span.link_to);
  check_order("lane_from_ns", span.lane_from, "lane_to_ns", span.lane_to);
  check_order("asked_ns", span.asked, "done_ns", span.done);
  return span;
}

JobEnd job_end(const JsonObject& from) {
  return {from.instant("at_ns"), from.flag("completed"), from.text("reason"),
          from.integer("minibatches", 0, kMostInFile), from.instant("arrived_ns")};
}

ordered_json ends_json(const std::vector<JobEnd>& ends) {
  ordered_json result = ordered_json::array();
  for (const JobEnd& end : ends) {
    result.push_back({{"at_ns", ns(end.at)},
                      {"completed", end.completed},
                      {"reason", end.reason},
                      {"minibatches", end.minibatches},
                      {"arrived_ns", ns(end.arrived)}});
  }
  return result;
}

ordered_json sizes_json(const std::vector<Bytes>& sizes) {
  ordered_json result = ordered_json::array();
  for (const Bytes size : sizes) result.push_back(json_bytes(size));
  return result;
}

/// Calls `read` on each value of the list `key`, which must have `size` of them.
template <typename Read>
void each(const JsonObject& from, const std::string& key, std::size_t size, const Read& read) {
  const json& list = from.array(key);
  in_context(key, [&] {
    if (list.size() != size)
      throw Error(fmt::format("has {} entries, must have {}", list.size(), size));
    for (std::size_t i = 0; i < size; ++i) in_context(std::to_string(i), [&] { read(list[i]); });
  });
}

std::vector<std::string> names(const JsonObject& from, const std::string& key) {
  std::vector<std::string> result;
  each(from, key, from.array(key).size(), [&](const json& name) {
    if (!name.is_string()) throw Error("must be a string");
    result.push_back(name.get<std::string>());
  });
  return result;
}

std::vector<Bytes> sizes(const JsonObject& from, const std::string& key, std::size_t size) {
  std::vector<Bytes> result;
  each(from, key, size, [&](const json& value) {
    result.push_back(value.is_null() ? kUnlimited : json_integer(value, 0));
  });
  return result;
}

void read_spans(const JsonObject& root, Timeline& into) {
  const auto last_job = static_cast<std::int64_t>(into.jobs.size()) - 1;
  const auto last_device = static_cast<std::int64_t>(into.devices.size()) - 1;
  in_context("units", [&] {
    RowTable(root.object("units"), kUnitColumns, kLateUnitColumns)
        .each([&](const RowTable::Row& row) {
          into.units.push_back(unit(row, last_job, last_device));
        });
  });
  in_context("copies", [&] {
    RowTable(root.object("copies"), kCopyColumns, kLateCopyColumns)
        .each([&](const RowTable::Row& row) {
          into.copies.push_back(copy(row, last_job, last_device));
        });
  });
}

}  // namespace

std::string timeline_json(const Timeline& timeline) {
  std::string text = "{\n";
  const auto field = [&](std::string_view key, std::string_view value) {
    text += fmt::format("\"{}\": {},\n", key, value);
  };
  const auto dumped = [](const ordered_json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  };
  field("format", json_string(kFormat));
  field("version", std::to_string(kVersion));
  field("plan", json_string(timeline.plan));
  field("source", json_string(timeline.source));
  field("interrupted", timeline.interrupted ? "true" : "false");
  field("makespan_ns", std::to_string(ns(timeline.makespan)));
  field("jobs", dumped(timeline.jobs));
  field("devices", dumped(timeline.devices));
  field("budget_bytes", dumped(sizes_json(timeline.budget)));
  field("peak_bytes", dumped(sizes_json(timeline.peak)));
  field("ends", dumped(ends_json(timeline.ends)));
  field("units", rows_json(kUnitColumns, timeline.units, unit_row));
  text += "\"copies\": " + copies_json(timeline.copies) + "\n}\n";
  return text;
}

Timeline parse_timeline(std::string_view text) {
  const json file = parse_json_file(text, kFormat, kVersion);
  const JsonObject root(file);
  Timeline result;
  result.plan = root.text("plan");
  result.source = root.text("source");
  result.interrupted = root.flag("interrupted");
  result.makespan = root.instant("makespan_ns");
  result.jobs = names(root, "jobs");
  result.devices = names(root, "devices");
  result.budget = sizes(root, "budget_bytes", result.devices.size());
  result.peak = sizes(root, "peak_bytes", result.devices.size());
  each(root, "ends", result.jobs.size(),
       [&](const json& end) { result.ends.push_back(job_end(JsonObject(end))); });
  read_spans(root, result);
  return result;
}

void write_timeline(const std::string& path, const Timeline& timeline) {
  write_file_atomically(path, timeline_json(timeline));
}

Timeline read_timeline(const std::string& path) {
  const std::string text = read_whole_file(path);
  return in_context(path, [&] { return parse_timeline(text); });
}

}  // namespace shardlab
