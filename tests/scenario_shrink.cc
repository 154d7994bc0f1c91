#include <algorithm>
#include <utility>

#include "tests/scenario.h"

/// Makes scenarios simpler.
namespace shardlab::scenarios {
namespace {

/// All that is counted, with the least that it may be.
std::vector<std::pair<std::int64_t*, std::int64_t>> numbers(Scenario& scenario) {
  std::vector<std::pair<std::int64_t*, std::int64_t>> all{
      {&scenario.slots, 1},    {&scenario.admit, 0},      {&scenario.dispatch, 0},
      {&scenario.loaded, 100}, {&scenario.slow_there, 1}, {&scenario.slow_back, 1}};
  for (Pace* pace : {&scenario.link, &scenario.back, &scenario.copy, &scenario.peer,
                     &scenario.network, &scenario.read, &scenario.write}) {
    all.emplace_back(&pace->latency, 0);
    all.emplace_back(&pace->per_byte, 0);
  }
  all.emplace_back(&scenario.host, std::min<std::int64_t>(scenario.host, 0));
  for (std::int64_t& spare : scenario.spare)
    all.emplace_back(&spare, std::min<std::int64_t>(spare, 0));
  for (std::int64_t& buffers : scenario.buffers) all.emplace_back(&buffers, 0);
  for (ScenarioJob& job : scenario.jobs) {
    all.emplace_back(&job.priority, 0);
    all.emplace_back(&job.arrival, 0);
    all.emplace_back(&job.minibatches, 1);
    all.emplace_back(&job.microbatches, 1);
    all.emplace_back(&job.frozen, 0);
    all.emplace_back(&job.host_step, 0);
    all.emplace_back(&job.base, 0);
    for (Shard& shard : job.shards) {
      for (const auto number : kShardNumbers) {
        all.emplace_back(&(shard.*number), number == &Shard::late ? 0 : 1);
      }
    }
  }
  return all;
}

template <typename T>
std::vector<T> without(std::vector<T> all, std::size_t which) {
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(which));
  return all;
}

Scenario without_device(Scenario scenario, std::size_t which) {
  scenario.spare = without(scenario.spare, which);
  for (std::vector<std::int64_t>* const each : {&scenario.buffers, &scenario.speeds}) {
    if (which < each->size()) *each = without(*each, which);
  }
  const auto left = static_cast<std::int64_t>(scenario.spare.size());
  for (ScenarioJob& job : scenario.jobs) {
    for (std::int64_t& bound : job.bound) {
      if (bound > static_cast<std::int64_t>(which)) --bound;
      bound %= left;
    }
  }
  return scenario;
}

void add_with_less_of(const Scenario& from, std::size_t j, std::vector<Scenario>& to) {
  const ScenarioJob& job = from.jobs[j];
  const auto with = [&](const auto& change) {
    to.push_back(from);
    change(to.back().jobs[j]);
  };
  for (std::size_t s = 0; job.shards.size() > 1 && s < job.shards.size(); ++s) {
    with([&](ScenarioJob& less) {
      less.shards = without(less.shards, s);
      less.frozen = std::min(less.frozen, static_cast<std::int64_t>(less.shards.size()) - 1);
      for (std::size_t r = less.bound.size() / job.shards.size(); r-- > 0;) {
        less.bound = without(less.bound, r * job.shards.size() + s);
      }
    });
  }
  if (job.replicas > 1) {
    with([](ScenarioJob& less) {
      less.bound.resize(less.bound.size() / static_cast<std::size_t>(less.replicas));
      less.replicas = 1;
    });
  }
  if (!job.recompute) with([](ScenarioJob& less) { less.recompute = true; });
  if (job.strategy == Strategy::kSpill) return;
  with([](ScenarioJob& less) {
    less.strategy = Strategy::kSpill;
    less.recompute = true;
    less.microbatches = less.replicas = 1;
    less.bound.clear();
  });
}

/// A step simpler, the greatest steps first.
std::vector<Scenario> simpler(const Scenario& from) {
  std::vector<Scenario> all;
  for (std::size_t j = 0; from.jobs.size() > 1 && j < from.jobs.size(); ++j) {
    all.push_back(from);
    all.back().jobs = without(from.jobs, j);
  }
  for (std::size_t d = 0; from.spare.size() > 1 && d < from.spare.size(); ++d) {
    all.push_back(without_device(from, d));
  }
  for (std::size_t j = 0; j < from.jobs.size(); ++j) add_with_less_of(from, j, all);
  if (from.engines != 1) {
    all.push_back(from);
    all.back().engines = 1;
  }
  for (const auto per_device : {&Scenario::buffers, &Scenario::speeds}) {
    if ((from.*per_device).empty()) continue;
    all.push_back(from);
    (all.back().*per_device).pop_back();
  }
  if (from.host >= 0) {
    all.push_back(from);
    all.back().host = -1;
  }
  Scenario scratch = from;
  const std::size_t count = numbers(scratch).size();
  for (std::size_t n = 0; n < count; ++n) {
    const auto [number, least] = numbers(scratch)[n];
    for (const std::int64_t less : {least, (*number + least) / 2, *number - 1}) {
      if (less < least || less >= *number) continue;
      all.push_back(from);
      *numbers(all.back())[n].first = less;
    }
  }
  return all;
}

}  // namespace

Scenario shrink(Scenario scenario, const std::function<bool(const Scenario&)>& fails) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const Scenario& candidate : simpler(scenario)) {
      if (!fails(candidate)) continue;
      scenario = candidate;
      smaller = true;
      break;
    }
  }
  return scenario;
}

}  // namespace shardlab::scenarios
