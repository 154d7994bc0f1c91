#include "planning/partition_search.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/counter_hash.h"
#include "core/error.h"
#include "policies/partition.h"
#include "policies/planner.h"
#include "sched/job_profile.h"

namespace shardlab {
namespace {

constexpr int kStale = 200;  // Moves that change nothing, one after the other.

/// Jobs that are cut alike.
struct Kind {
  std::vector<std::size_t> jobs;
  std::shared_ptr<const ModelProfile> model;
};

class CutSearch {
 public:
  CutSearch(Evaluator& evaluator, const Plan& start, std::int64_t evaluations, std::uint64_t seed,
            const SearchProgress& progress)
      : evaluator_(evaluator),
        best_(start),
        last_evaluation_(evaluator.evaluations() + evaluations),
        seed_(seed),
        progress_(progress) {
    limit_ = room_per_slot(evaluator.cluster(), start.slots);
    collect();
  }

  Plan run() {
    makespan_ = evaluator_.makespan(best_).value_or(Duration::max());
    for (const Kind& kind : kinds_) {
      if (!counts(kind)) return best_;
    }
    for (int nothing_new = 0; !kinds_.empty() && nothing_new < kStale; ++nothing_new) {
      const std::int64_t before = evaluator_.evaluations();
      const Kind& kind = kinds_[draw(kinds_.size())];
      if (!tried(kind, moved(kind, best_.jobs[kind.jobs.front()].first_layer))) break;
      if (evaluator_.evaluations() > before) nothing_new = 0;
    }
    return best_;
  }

 private:
  void collect() {
    using Key = std::tuple<ModelSpec, int, OptimizerKind, int, int>;
    std::map<Key, std::size_t> known;
    for (std::size_t j = 0; j < best_.jobs.size(); ++j) {
      if (best_.jobs[j].strategy != Strategy::kSpill) continue;
      const Job& job = evaluator_.workload().jobs[j];
      const auto [entry, fresh] = known.try_emplace(
          Key{job.model, job.batch, job.optimizer.kind, job.frozen_layers, job.lora_rank},
          kinds_.size());
      if (fresh) kinds_.push_back({{}, job_profile(evaluator_.profile(), job, job.batch)});
      kinds_[entry->second].jobs.push_back(j);
    }
  }

  std::uint64_t draw(std::uint64_t below) { return counter_hash({seed_, draws_++}) % below; }

  /// False when the search is to end.
  bool tried(const Kind& kind, const std::vector<int>& firsts) {
    Plan plan = best_;
    if (plan.jobs[kind.jobs.front()].first_layer == firsts) return true;
    if (evaluator_.evaluations() >= last_evaluation_) return false;
    for (const std::size_t j : kind.jobs) plan.jobs[j].first_layer = firsts;
    const auto makespan = evaluator_.makespan(plan);
    if (makespan && *makespan < makespan_) {
      makespan_ = *makespan;
      best_ = std::move(plan);
    }
    return !progress_ || progress_(evaluator_.evaluations(), makespan_);
  }

  /// Every number of shards from the fewest that fit to twice that and a few more.
  bool counts(const Kind& kind) {
    constexpr int kMore = 4;
    const int fewest = static_cast<int>(greedy(*kind.model, limit_).size());
    const int layers = static_cast<int>(kind.model->layers.size());
    for (int shards = fewest; shards <= std::min(layers, 2 * fewest + kMore); ++shards) {
      try {
        if (!tried(kind, balanced(*kind.model, shards, limit_))) return false;
      } catch (const Error&) {
        continue;  // So many shards do not fit, however they are cut.
      }
    }
    return true;
  }

  /// One cut moved by up to three layers, taken out, or put in.
  std::vector<int> moved(const Kind& kind, std::vector<int> firsts) {
    const int layers = static_cast<int>(kind.model->layers.size());
    const std::uint64_t what = draw(4);
    if (what == 0 && firsts.size() > 1) {
      firsts.erase(firsts.begin() + 1 + static_cast<std::ptrdiff_t>(draw(firsts.size() - 1)));
    } else if (what == 1) {
      firsts.push_back(1 +
                       static_cast<int>(draw(static_cast<std::uint64_t>(std::max(1, layers - 1)))));
    } else if (firsts.size() > 1) {
      int& cut = firsts[1 + draw(firsts.size() - 1)];
      cut = std::clamp(cut + static_cast<int>(draw(7)) - 3, 1, std::max(1, layers - 1));
    }
    std::ranges::sort(firsts);
    firsts.erase(std::ranges::unique(firsts).begin(), firsts.end());
    return firsts;
  }

  Evaluator& evaluator_;
  Plan best_;
  std::int64_t last_evaluation_;
  std::uint64_t seed_;
  const SearchProgress& progress_;
  Bytes limit_ = 0;
  std::vector<Kind> kinds_;
  Duration makespan_{};
  std::uint64_t draws_ = 0;
};

}  // namespace

Plan search_partition(Evaluator& evaluator, const Plan& start, std::int64_t evaluations,
                      std::uint64_t seed, const SearchProgress& progress) {
  return CutSearch(evaluator, start, evaluations, seed, progress).run();
}

}  // namespace shardlab
