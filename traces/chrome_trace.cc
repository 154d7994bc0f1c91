#include "traces/chrome_trace.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "traces/atomic_file.h"
#include "traces/json_object.h"

namespace shardlab {
namespace {

enum Row { kCompute, kPromoteRow, kDemoteRow, kRows };
constexpr std::array<std::string_view, kRows> kRowNames{"compute", "promote", "demote"};

/// 1234567 ns → "1234.567"
std::string microseconds(Duration time) {
  return fmt::format("{}.{:03}", time.count() / 1000, time.count() % 1000);
}
std::string microseconds(Instant at) { return microseconds(at.time_since_epoch()); }

struct Slice {
  Instant from, to;
  std::string name;
  std::string args;  // The inside of a JSON object.
};

/// One timeline as one process.
class Process {
 public:
  Process(const Timeline& timeline, std::size_t id, std::int64_t& flows, std::string& out)
      : timeline_(timeline), id_(id), flows_(flows), out_(out) {
    rows_.resize(timeline.devices.size() * kRows + (steps() ? 1 : 0));
  }

  void write() {
    describe();
    for (const UnitSpan& span : timeline_.units) add(span);
    for (const CopySpan& span : timeline_.copies) add(span);
    for (std::size_t row = 0; row < rows_.size(); ++row) write_row(row);
    write_hand_offs();
    write_memory();
    write_bytes_not_needed_yet();
    write_link_rates();
  }

 private:
  template <typename... Args>
  void event(std::string_view phase, std::size_t thread, fmt::format_string<Args...> rest,
             Args&&... args) {
    out_ += fmt::format(R"({}{{"ph":"{}","pid":{},"tid":{},)", out_.back() == '[' ? "\n" : ",\n",
                        phase, id_, thread);
    fmt::format_to(std::back_inserter(out_), rest, std::forward<Args>(args)...);
    out_ += '}';
  }

  static std::size_t row_of(DeviceId device, Row row) { return index(device) * kRows + row; }
  static std::size_t thread_of(std::size_t row) { return row + 1; }  // Perfetto hides thread 0.

  void describe() {
    const std::string name = json_string(timeline_.source + ": " + timeline_.plan);
    event("M", 0, R"("name":"process_name","args":{{"name":{}}})", name);
    event("M", 0, R"("name":"process_sort_index","args":{{"sort_index":{}}})", id_);
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      const std::string row_name =
          row == host_row()
              ? "host optimizer"
              : fmt::format("{} {}", timeline_.devices[row / kRows], kRowNames[row % kRows]);
      const std::string thread = json_string(row_name);
      event("M", thread_of(row), R"("name":"thread_name","args":{{"name":{}}})", thread);
      event("M", thread_of(row), R"("name":"thread_sort_index","args":{{"sort_index":{}}})", row);
    }
  }

  /// A host steps with gradients: they have a row of their own, the last.
  [[nodiscard]] bool steps() const {
    return std::ranges::any_of(timeline_.copies,
                               [](const CopySpan& span) { return span.step_from > Instant{}; });
  }
  [[nodiscard]] std::size_t host_row() const { return timeline_.devices.size() * kRows; }

  [[nodiscard]] const std::string& job(JobId id) const { return timeline_.jobs[index(id)]; }

  void add(const UnitSpan& span) {
    const auto us = [](Instant from, Instant to) {
      return microseconds(std::max(to - from, Duration{}));
    };
    rows_[row_of(span.device, kCompute)].push_back(
        {span.from, span.to,
         fmt::format("{} {} {}", job(span.job), to_string(span.kind), span.shard),
         fmt::format(R"("job":{},"shard":{},"minibatch":{},"microbatch":{},"replica":{},"unit":{},)"
                     R"("kind":"{}","attempt":{},"claimed_us":{},"waited_for_memory_us":{},)"
                     R"("waited_for_copies_us":{},"waited_for_lane_us":{},"recompute_us":{})",
                     json_string(job(span.job)), span.shard, span.minibatch, span.microbatch,
                     span.replica, span.unit, to_string(span.kind), span.attempt,
                     microseconds(span.claimed), us(span.claimed, span.reserved),
                     us(span.reserved, span.arrived), us(span.arrived, span.from),
                     microseconds(span.recompute))});
  }

  void add(const CopySpan& span) {
    const std::string name =
        fmt::format("{} {} {}", job(span.job), to_string(span.item), span.shard);
    const std::string args = fmt::format(
        R"("job":{},"shard":{},"minibatch":{},"item":"{}","direction":"{}","bytes":{},)"
        R"("asked_us":{},"link_from_us":{},"link_to_us":{},)"
        R"("lane_from_us":{},"lane_to_us":{},"done_us":{})",
        json_string(job(span.job)), span.shard, span.minibatch, to_string(span.item),
        to_string(span.direction), span.bytes, microseconds(span.asked),
        microseconds(span.link_from), microseconds(span.link_to), microseconds(span.lane_from),
        microseconds(span.lane_to), microseconds(span.done));
    const Row row = span.direction == Direction::kPromote ? kPromoteRow : kDemoteRow;
    if (span.link_to > span.link_from) {
      rows_[row_of(span.device, row)].push_back({span.link_from, span.link_to, name, args});
    }
    if (span.step_from > Instant{}) {
      rows_[host_row()].push_back(
          {span.step_from, span.done, fmt::format("{} step {}", job(span.job), span.shard), args});
    }
    if (span.lane_to > span.lane_from) {
      rows_[row_of(span.device, kCompute)].push_back(
          {span.lane_from, span.lane_to, to_string(span.direction) + " " + name, args});
    }
  }

  void write_row(std::size_t row) {
    std::vector<Slice>& slices = rows_[row];
    std::stable_sort(slices.begin(), slices.end(),
                     [](const Slice& a, const Slice& b) { return a.from < b.from; });
    Instant free{};
    for (const Slice& slice : slices) {
      const Instant from = std::max(slice.from, free);
      free = std::max(slice.to, from);
      event("X", thread_of(row), R"("ts":{},"dur":{},"name":{},"args":{{{}}})", microseconds(from),
            microseconds(free - from), json_string(slice.name), slice.args);
    }
  }

  /// From a unit to the next one of the same microbatch, where that is on another device.
  void write_hand_offs() {
    std::map<std::tuple<JobId, std::int32_t, std::int32_t>, const UnitSpan*> latest;
    for (const UnitSpan* span : by_start()) {
      // They wait for all microbatches, not for one.
      if (span->kind == UnitKind::kReduce || span->kind == UnitKind::kStep) continue;
      const UnitSpan*& last = latest[{span->job, span->replica, span->microbatch}];
      const UnitSpan* before = std::exchange(last, span);
      if (before == nullptr || before->device == span->device) continue;
      // An arrow binds to the slice around its time: the end itself is no longer in it.
      const Instant leaves = std::max(before->from, before->to - Duration{1});
      arrow("s", "", before->device, leaves);
      arrow("f", R"("bp":"e",)", span->device, span->from);
      ++flows_;
    }
  }

  void arrow(std::string_view phase, std::string_view binding, DeviceId device, Instant at) {
    event(phase, thread_of(row_of(device, kCompute)),
          R"({}"id":{},"ts":{},"name":"hand-off","cat":"hand-off")", binding, flows_,
          microseconds(at));
  }

  [[nodiscard]] std::vector<const UnitSpan*> by_start() const {
    std::vector<const UnitSpan*> units;
    for (const UnitSpan& span : timeline_.units) units.push_back(&span);
    std::stable_sort(units.begin(), units.end(),
                     [](const UnitSpan* a, const UnitSpan* b) { return a->from < b->from; });
    return units;
  }

  void counter(DeviceId device, std::string_view what, Instant at, Bytes bytes) {
    const std::string name =
        json_string(fmt::format("{} {}", timeline_.devices[index(device)], what));
    event("C", 0, R"("ts":{},"name":{},"args":{{"bytes":{}}})", microseconds(at), name, bytes);
  }

  void write_memory() {
    for (const MemorySample& sample : timeline_.memory) {
      counter(sample.device, "bytes reserved", sample.at, sample.reserved);
    }
  }

  /// What was promoted counts from its arrival until the job's next unit on that device begins.
  void write_bytes_not_needed_yet() {
    std::map<std::pair<std::size_t, JobId>, std::vector<Instant>> starts;
    for (const UnitSpan* span : by_start()) {
      starts[{index(span->device), span->job}].push_back(span->from);
    }
    std::vector<std::map<Instant, Bytes>> changes(timeline_.devices.size());
    for (const CopySpan& span : timeline_.copies) {
      if (span.direction != Direction::kPromote) continue;
      const std::vector<Instant>& units = starts[{index(span.device), span.job}];
      const auto needed = std::lower_bound(units.begin(), units.end(), span.done);
      changes[index(span.device)][span.done] += span.bytes;
      changes[index(span.device)][needed == units.end() ? timeline_.makespan : *needed] -=
          span.bytes;
    }
    for (std::size_t device = 0; device < changes.size(); ++device) {
      Bytes now = 0;
      for (const auto& [at, change] : changes[device]) {
        now += change;
        counter(device_id(device), "bytes not needed yet", at, now);
      }
    }
  }

  /// A copy counts with its mean rate, while it passes the link.
  void write_link_rates() {
    using Rates = std::array<std::int64_t, 3>;                                    // By direction.
    std::vector<std::map<Instant, Rates>> changes(timeline_.devices.size() + 1);  // Last: all.
    for (const CopySpan& span : timeline_.copies) {
      const Duration time = span.link_to - span.link_from;
      if (time <= Duration{}) continue;
      const std::int64_t rate =
          std::llround(static_cast<double>(span.bytes) * 1e9 / static_cast<double>(time.count()));
      const auto direction = static_cast<std::size_t>(span.direction);
      for (const std::size_t row : {index(span.device), timeline_.devices.size()}) {
        changes[row][span.link_from][direction] += rate;
        changes[row][span.link_to][direction] -= rate;
      }
    }
    for (std::size_t row = 0; row < changes.size(); ++row) {
      const bool all = row == timeline_.devices.size();
      const std::string name =
          json_string((all ? "all links" : timeline_.devices[row] + " link") + " bytes/s");
      Rates now{};
      for (const auto& [at, change] : changes[row]) {
        for (std::size_t direction = 0; direction < now.size(); ++direction) {
          now[direction] += change[direction];
        }
        event("C", 0, R"("ts":{},"name":{},"args":{{"promote":{},"demote":{},"peer":{}}})",
              microseconds(at), name, now[0], now[1], now[2]);
      }
    }
  }

  const Timeline& timeline_;
  std::size_t id_;
  std::int64_t& flows_;  // Ids of arrows are unique in the whole file.
  std::string& out_;
  std::vector<std::vector<Slice>> rows_;
};

}  // namespace

std::string chrome_trace_json(std::span<const Timeline* const> timelines) {
  std::string out = R"({"displayTimeUnit":"ms","traceEvents":[)";
  std::int64_t flows = 1;
  for (std::size_t i = 0; i < timelines.size(); ++i) {
    Process(*timelines[i], i + 1, flows, out).write();
  }
  return out + "\n]}\n";
}

void write_chrome_trace(const std::string& path, std::span<const Timeline* const> timelines) {
  write_file_atomically(path, chrome_trace_json(timelines));
}

}  // namespace shardlab
