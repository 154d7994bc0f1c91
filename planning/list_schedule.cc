#include "planning/list_schedule.h"

#include <algorithm>
#include <numeric>

namespace shardlab {
namespace {

Duration area(const JobOption& option) { return option.alone * std::max(1, option.devices); }

/// Jobs by their shortest time, longest first; ties by number.
std::vector<std::size_t> longest_first(const std::vector<Duration>& times) {
  std::vector<std::size_t> order(times.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return times[a] > times[b]; });
  return order;
}

class Branches {
 public:
  Branches(const OptionsPerJob& options, int devices, std::size_t count, std::int64_t nodes)
      : options_(options),
        devices_(devices),
        count_(count),
        nodes_(nodes),
        chosen_(options.size()),
        least_area_(options.size() + 1) {
    std::vector<Duration> shortest;
    for (const auto& each : options)
      shortest.push_back(std::ranges::min(each, {}, &JobOption::alone).alone);
    order_ = longest_first(shortest);
    for (std::size_t i = order_.size(); i-- > 0;) {
      least_area_[i] =
          least_area_[i + 1] + area(*std::ranges::min_element(options[order_[i]], {}, area));
    }
  }

  std::vector<ListSchedule> search() {
    branch(0, {}, {});
    return std::move(kept_);
  }

 private:
  void branch(std::size_t depth, Duration longest, Duration work) {
    if (nodes_-- <= 0) return;
    const Duration bound = std::max(longest, (work + least_area_[depth]) / devices_);
    if (kept_.size() == count_ && bound >= kept_.back().makespan) return;
    if (depth == order_.size()) return keep(list_schedule(options_, chosen_, devices_));
    const auto& options = options_[order_[depth]];
    // Fastest first, so that a good plan is there early.
    for (std::size_t i = options.size(); i-- > 0;) {
      chosen_[order_[depth]] = i;
      branch(depth + 1, std::max(longest, options[i].alone), work + area(options[i]));
    }
  }

  void keep(ListSchedule made) {
    const auto at = std::ranges::upper_bound(kept_, made.makespan, {}, &ListSchedule::makespan);
    kept_.insert(at, std::move(made));
    if (kept_.size() > count_) kept_.pop_back();
  }

  const OptionsPerJob& options_;
  int devices_;
  std::size_t count_;
  std::int64_t nodes_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> chosen_;
  std::vector<Duration> least_area_;  ///< Of the jobs from this depth on.
  std::vector<ListSchedule> kept_;
};

}  // namespace

ListSchedule list_schedule(const OptionsPerJob& options, const std::vector<std::size_t>& chosen,
                           int devices) {
  ListSchedule made{{chosen, std::vector<int>(options.size())}, {}};
  std::vector<Duration> free(static_cast<std::size_t>(devices)), times;
  for (std::size_t j = 0; j < options.size(); ++j) times.push_back(options[j][chosen[j]].alone);
  Duration spilled{};
  for (const std::size_t j : longest_first(times)) {
    const JobOption& option = options[j][chosen[j]];
    if (option.devices == 0) {
      spilled += option.alone;
      made.makespan = std::max(made.makespan, option.alone);
      continue;
    }
    Duration soonest = Duration::max();
    for (int g = 0; (g + 1) * option.devices <= devices; ++g) {
      const auto first = free.begin() + g * option.devices;
      const Duration start = *std::max_element(first, first + option.devices);
      if (start >= soonest) continue;
      soonest = start;
      made.assignment.group[j] = g;
    }
    const auto first = free.begin() + made.assignment.group[j] * option.devices;
    std::fill(first, first + option.devices, soonest + option.alone);
  }
  const Duration work = std::accumulate(free.begin(), free.end(), spilled);
  made.makespan = std::max({made.makespan, *std::ranges::max_element(free), work / devices});
  return made;
}

std::vector<ListSchedule> best_schedules(const OptionsPerJob& options, int devices,
                                         std::size_t count, std::int64_t nodes) {
  return Branches(options, devices, count, nodes).search();
}

}  // namespace shardlab
