#include "planning/joint_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "core/counter_hash.h"
#include "core/error.h"
#include "planning/list_schedule.h"
#include "policies/planner.h"

namespace shardlab {
namespace {

constexpr std::size_t kFirstPlans = 16;
constexpr std::int64_t kNodes = 200'000;
constexpr int kStale = 2000;   // Moves to plans that were tried before, one after the other.
constexpr int kPatience = 60;  // Moves without a better plan, after which two jobs change at once.

/// Jobs of one kind have the same options.
OptionsPerJob options_of(const Evaluator& evaluator, int slots) {
  using Kind = std::tuple<ModelSpec, int, OptimizerKind, std::int64_t, int, int>;
  std::map<Kind, std::vector<JobOption>> known;
  OptionsPerJob options;
  for (const Job& job : evaluator.workload().jobs) {
    const Kind kind{job.model,       job.batch,         job.optimizer.kind,
                    job.minibatches, job.frozen_layers, job.lora_rank};
    auto [entry, fresh] = known.try_emplace(kind);
    if (fresh) {
      entry->second = job_options(job, evaluator.cluster(), evaluator.profile(), slots);
    }
    options.push_back(entry->second);
  }
  return options;
}

class Search {
 public:
  Search(Evaluator& evaluator, const JointSearch& search, const SearchProgress& progress)
      : evaluator_(evaluator),
        search_(search),
        progress_(progress),
        devices_(static_cast<int>(evaluator.cluster().devices.size())),
        options_(options_of(evaluator, search.slots)) {}

  JointPlan run() {
    for (const ListSchedule& each : best_schedules(options_, devices_, kFirstPlans, kNodes)) {
      if (!tried(each.assignment)) break;
    }
    if (!ended_early_) improve();
    return finished();
  }

 private:
  [[nodiscard]] Plan plan_of(const Assignment& assignment) const {
    Plan plan{"joint/" + search_.policy, {}, search_.policy, search_.seed, 0, search_.slots};
    for (std::size_t j = 0; j < options_.size(); ++j) {
      plan.jobs.push_back(lay_out(evaluator_.workload().jobs[j], evaluator_.cluster(),
                                  evaluator_.profile(), options_[j][assignment.option[j]],
                                  assignment.group[j], search_.slots));
    }
    return plan;
  }

  /// Simulates it unless that was done before. False when the search is to end.
  bool tried(const Assignment& assignment) {
    if (!seen_.emplace(assignment.option, assignment.group).second) return true;
    if (evaluator_.evaluations() >= search_.evaluations) return false;
    const auto makespan = evaluator_.makespan(plan_of(assignment));
    if (makespan && *makespan < best_) {
      best_ = *makespan;
      best_assignment_ = assignment;
      since_better_ = 0;
    }
    if (!progress_ || progress_(evaluator_.evaluations(), best_)) return true;
    ended_early_ = true;
    return false;
  }

  std::uint64_t draw(std::uint64_t below) { return counter_hash({search_.seed, draws_++}) % below; }

  void change_one(Assignment& assignment) {
    const std::size_t j = draw(options_.size());
    if (draw(3) == 0 && options_.size() > 1) {  // Two jobs change places.
      const std::size_t other = draw(options_.size());
      if (options_[j][assignment.option[j]].devices ==
          options_[other][assignment.option[other]].devices) {
        std::swap(assignment.group[j], assignment.group[other]);
        return;
      }
    }
    if (draw(2) == 0) assignment.option[j] = draw(options_[j].size());
    const int size = std::max(1, options_[j][assignment.option[j]].devices);
    const bool bound = options_[j][assignment.option[j]].devices > 0;
    assignment.group[j] =
        bound ? static_cast<int>(draw(static_cast<std::uint64_t>(devices_ / size))) : 0;
  }

  void improve() {
    if (best_ == Duration::max()) return;
    // Until everything near seems to be known.
    for (int nothing_new = 0; nothing_new < kStale; ++nothing_new) {
      Assignment next = best_assignment_;
      const int changes = since_better_ > kPatience ? 2 + static_cast<int>(draw(2)) : 1;
      for (int c = 0; c < changes; ++c) change_one(next);
      ++since_better_;
      const std::size_t known = seen_.size();
      if (!tried(next)) return;
      if (seen_.size() > known) nothing_new = 0;
    }
  }

  JointPlan finished() {
    JointPlan made;
    made.evaluations = evaluator_.evaluations();
    made.predicted = Duration::max();
    const auto consider = [&](const Plan& plan, std::vector<JobOption> chosen) {
      const auto whole = evaluator_.whole_makespan(plan);
      if (whole && *whole < made.predicted) {
        made.predicted = *whole;
        made.plan = plan;
        made.chosen = std::move(chosen);
      }
    };
    for (const PlanChoice& usual : usual_choices(search_.slots, search_.seed)) {
      try {
        consider(
            make_plan(evaluator_.workload(), evaluator_.cluster(), evaluator_.profile(), usual),
            {});
      } catch (const Error&) {
        continue;  // It cannot run here.
      }
    }
    if (best_ < Duration::max()) {
      std::vector<JobOption> chosen;
      for (std::size_t j = 0; j < options_.size(); ++j) {
        chosen.push_back(options_[j][best_assignment_.option[j]]);
      }
      consider(plan_of(best_assignment_), std::move(chosen));
    }
    made.ended_early = ended_early_;
    return made;
  }

  Evaluator& evaluator_;
  const JointSearch& search_;
  const SearchProgress& progress_;
  int devices_;
  OptionsPerJob options_;
  std::set<std::pair<std::vector<std::size_t>, std::vector<int>>> seen_;
  Duration best_ = Duration::max();
  Assignment best_assignment_;
  std::int64_t since_better_ = 0;
  std::uint64_t draws_ = 0;
  bool ended_early_ = false;
};

}  // namespace

JointPlan plan_jointly(Evaluator& evaluator, const JointSearch& search,
                       const SearchProgress& progress) {
  return Search(evaluator, search, progress).run();
}

}  // namespace shardlab
