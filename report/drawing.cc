#include "report/drawing.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "report/table.h"

namespace shardlab {
namespace {

/// What a lane does in a cell; units are numbered by job and pass.
struct Mark {
  static constexpr int kIdle = -2, kCopy = -1;
  static int unit(JobId job, bool backward) {
    return static_cast<int>(index(job)) * 2 + (backward ? 1 : 0);
  }
};

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kDigits = "0123456789";

char job_symbol(std::size_t job, bool upper) {
  if (job < kLetters.size())
    return upper ? static_cast<char>(kLetters[job] - 'a' + 'A') : kLetters[job];
  job -= kLetters.size();
  return job < kDigits.size() ? kDigits[job] : '#';
}

char symbol(int mark) {
  if (mark == Mark::kIdle) return '.';
  if (mark == Mark::kCopy) return ':';
  return job_symbol(static_cast<std::size_t>(mark / 2), mark % 2 == 1);
}

struct LaneSpan {
  std::int64_t from = 0, to = 0;
  int mark = Mark::kIdle;
};

/// What each lane did, in order of time, without what came after the makespan.
std::vector<std::vector<LaneSpan>> lanes(const Timeline& timeline) {
  std::vector<std::vector<LaneSpan>> all(timeline.devices.size());
  const auto add = [&](DeviceId device, Instant from, Instant to, int mark) {
    to = std::min(to, timeline.makespan);
    if (to <= from) return;
    all[index(device)].push_back(
        {from.time_since_epoch().count(), to.time_since_epoch().count(), mark});
  };
  for (const UnitSpan& span : timeline.units) {
    add(span.device, span.from, span.to, Mark::unit(span.job, span.kind != UnitKind::kForward));
  }
  for (const CopySpan& span : timeline.copies) {
    add(span.device, span.lane_from, span.lane_to, Mark::kCopy);
  }
  for (auto& lane : all) {
    std::stable_sort(lane.begin(), lane.end(),
                     [](const LaneSpan& a, const LaneSpan& b) { return a.from < b.from; });
  }
  return all;
}

/// The time axis cut into equal cells. Integer, so that a picture never depends on rounding.
class Axis {
 public:
  Axis(std::int64_t length, int cells) : length_(length), cells_(cells) {}

  /// Where a cell begins; `cells` gives the end. Never length × cell, which could overflow.
  [[nodiscard]] std::int64_t begin(int cell) const {
    return length_ / cells_ * cell + length_ % cells_ * cell / cells_;
  }
  [[nodiscard]] int cells() const { return cells_; }

  /// The cell that holds this time.
  [[nodiscard]] int cell_of(std::int64_t time) const {
    int low = 0;
    int high = cells_;
    while (high - low > 1) {
      const int middle = low + (high - low) / 2;
      (begin(middle) <= time ? low : high) = middle;
    }
    return low;
  }

 private:
  std::int64_t length_;
  int cells_;
};

/// Per cell the mark that took most of it; of equals the one that came first.
std::vector<int> cells(const std::vector<LaneSpan>& lane, const Axis& axis) {
  struct Share {
    int mark;
    std::int64_t time;
  };
  std::vector<std::vector<Share>> shares(static_cast<std::size_t>(axis.cells()));
  for (const LaneSpan& span : lane) {
    for (int cell = axis.cell_of(span.from); cell < axis.cells() && axis.begin(cell) < span.to;
         ++cell) {
      auto& here = shares[static_cast<std::size_t>(cell)];
      const std::int64_t time =
          std::min(span.to, axis.begin(cell + 1)) - std::max(span.from, axis.begin(cell));
      const auto same = std::find_if(here.begin(), here.end(),
                                     [&](const Share& share) { return share.mark == span.mark; });
      if (same == here.end()) {
        here.push_back({span.mark, time});
      } else {
        same->time += time;
      }
    }
  }
  std::vector<int> marks;
  for (int cell = 0; cell < axis.cells(); ++cell) {
    std::int64_t idle = axis.begin(cell + 1) - axis.begin(cell);
    Share most{Mark::kIdle, 0};
    for (const Share& share : shares[static_cast<std::size_t>(cell)]) {
      idle -= share.time;
      if (share.time > most.time) most = share;
    }
    marks.push_back(idle > most.time ? Mark::kIdle : most.mark);
  }
  return marks;
}

std::string colored(const std::vector<int>& marks) {
  constexpr std::array<int, 12> kColors{31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96};
  std::string text;
  int current = 0;
  for (const int mark : marks) {
    const int wanted = mark < 0 ? 0 : kColors[static_cast<std::size_t>(mark / 2) % kColors.size()];
    if (wanted != current) text += fmt::format("\033[{}m", wanted);
    current = wanted;
    text += symbol(mark);
  }
  return text + (current == 0 ? "" : "\033[0m");
}

std::string plain(const std::vector<int>& marks) {
  std::string text;
  for (const int mark : marks) text += symbol(mark);
  return text;
}

struct TimeUnit {
  std::int64_t ns;
  const char* name;
};

TimeUnit axis_unit(std::int64_t length) {
  for (const TimeUnit unit : {TimeUnit{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "µs"}}) {
    if (length >= 2 * unit.ns) return unit;
  }
  return {1, "ns"};
}

/// The smallest of 1, 2, 5, 10, 20, ... ns that is at least `least`.
std::int64_t round_step(std::int64_t least) {
  for (std::int64_t power = 1;; power *= 10) {
    for (const int factor : {1, 2, 5}) {
      if (power * factor >= least || power >= 1'000'000'000'000'000'000) return power * factor;
    }
  }
}

/// `|0 s       |0.5 s     |1 s`
std::string axis_line(const Axis& axis) {
  constexpr int kLeastCells = 10;  // Between two ticks: their labels fit.
  const std::int64_t length = axis.begin(axis.cells());
  const TimeUnit unit = axis_unit(length);
  const std::int64_t step =
      round_step(std::max<std::int64_t>(length / axis.cells() * kLeastCells, 1));
  std::string line;
  std::size_t width = 0;
  for (std::int64_t time = 0; time < length; time += step) {
    const auto cell = static_cast<std::size_t>(axis.cell_of(time));
    if (time > 0 && cell <= width) continue;
    const std::string label = fmt::format(
        "|{:g} {}", static_cast<double>(time) / static_cast<double>(unit.ns), unit.name);
    if (cell + display_width(label) > static_cast<std::size_t>(axis.cells()) && time > 0) break;
    line += std::string(cell - width, ' ') + label;
    width = cell + display_width(label);
  }
  return line;
}

std::string legend(const Timeline& timeline, int width) {
  std::string all;
  std::string line;
  const auto put = [&](const std::string& entry) {
    if (!line.empty() &&
        display_width(line) + 3 + display_width(entry) > static_cast<std::size_t>(width)) {
      all += std::exchange(line, "") + '\n';
    }
    line += (line.empty() ? "" : "   ") + entry;
  };
  const std::size_t named = std::min(timeline.jobs.size(), kLetters.size() + kDigits.size());
  for (std::size_t job = 0; job < named; ++job) {
    put(fmt::format("{} {}", job_symbol(job, false), timeline.jobs[job]));
  }
  if (named < timeline.jobs.size()) put(fmt::format("# {} more", timeline.jobs.size() - named));
  all += line + '\n';
  return all + "lower case: forward, upper case: backward, ':' the lane copies, '.' idle\n";
}

}  // namespace

std::string draw(const Timeline& timeline, const DrawingOptions& options) {
  const std::int64_t length = timeline.makespan.time_since_epoch().count();
  if (length <= 0 || timeline.devices.empty()) return "(nothing ran)\n";
  std::size_t label = 0;
  for (const std::string& name : timeline.devices) label = std::max(label, display_width(name));
  const auto room = static_cast<std::int64_t>(options.width) - static_cast<std::int64_t>(label) - 2;
  const Axis axis(length, static_cast<int>(std::min(length, std::max<std::int64_t>(room, 10))));
  const auto all = lanes(timeline);
  std::string text;
  for (std::size_t device = 0; device < all.size(); ++device) {
    const std::string& name = timeline.devices[device];
    const std::vector<int> marks = cells(all[device], axis);
    text += name + std::string(label - display_width(name) + 2, ' ') +
            (options.color ? colored(marks) : plain(marks)) + '\n';
  }
  return text + std::string(label + 2, ' ') + axis_line(axis) + '\n' +
         legend(timeline, options.width);
}

std::string draw_exact(const Timeline& timeline) {
  constexpr std::int64_t kMost = 100'000;
  const std::int64_t length = timeline.makespan.time_since_epoch().count();
  if (length > kMost) throw Error(fmt::format("{} ns are too many to draw one by one", length));
  std::string text;
  for (const std::vector<LaneSpan>& lane : lanes(timeline)) {
    std::string row;
    for (const LaneSpan& span : lane) {
      row.resize(std::max(row.size(), static_cast<std::size_t>(span.to)), '.');
      // One character per job, whatever the unit.
      const char c = span.mark < 0 ? ':' : symbol(span.mark | 1);
      std::fill(row.begin() + span.from, row.begin() + span.to, c);
    }
    text += row + '\n';
  }
  return text;
}

}  // namespace shardlab
